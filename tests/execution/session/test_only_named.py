"""Choice of implementations: one that differs on purpose runs only if listed, one that compiles once in a sweep."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.case import CaseFile, read
from harness.case.fields import Fields, Sizes, ValidCase
from harness.cli.options import chosen
from harness.execution.session import not_installed
from harness.implementations import Framework, Implementation, implementations
from tests.conftest import SMALL_CASE

CASE = Fields(sizes=Sizes(batch=2, time=4, input=3, hidden=5))


def of(**flags: bool) -> Implementation:
    return replace(implementations()["numpy-concat"], name="differing", **flags)


@pytest.mark.parametrize(("only_named", "takes_part"), [(False, True), (True, False)])
def test_a_case_that_names_nobody_is_not_for_it(only_named: bool, takes_part: bool) -> None:
    assert of(only_named=only_named).takes_part_in(CASE) is takes_part


@pytest.mark.parametrize(("listed", "takes_part"), [("differing", True), ("torch", False)])
@pytest.mark.parametrize("only_named", [False, True])
def test_a_case_that_names_some_is_for_those(only_named: bool, listed: str, takes_part: bool) -> None:
    case = replace(CASE, implementations=(listed,))
    assert of(only_named=only_named).takes_part_in(case) is takes_part


def leading(leads_sweep: bool, **fields: object) -> ValidCase:
    return ValidCase(name="swept", file="swept", sizes=CASE.sizes, leads_sweep=leads_sweep, **fields)


@pytest.mark.parametrize("first_of_sweep", [False, True])
def test_one_that_compiles_is_in_the_first_case_of_a_sweep_alone(first_of_sweep: bool) -> None:
    compiling = of(first_of_sweep=first_of_sweep)
    assert compiling.takes_part_in(leading(True))
    assert compiling.takes_part_in(leading(False)) is not first_of_sweep


def test_one_that_compiles_is_in_all_cases_if_it_is_asked_for_or_they_list_it() -> None:
    compiling = of(first_of_sweep=True)
    assert compiling.asked_for().takes_part_in(leading(False))
    assert compiling.takes_part_in(leading(False, implementations=("differing",)))
    assert not compiling.asked_for().takes_part_in(leading(True, implementations=("torch",)))


def test_one_that_differs_on_purpose_is_in_no_other_case_though_it_is_asked_for() -> None:
    assert not of(only_named=True).asked_for().takes_part_in(CASE)


def test_the_command_line_asks_for_what_it_is_given_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    compiling = of(first_of_sweep=True)
    monkeypatch.setattr("harness.implementations.implementation_named", {"differing": compiling}.get)
    (found,) = chosen(["differing"])
    assert found.takes_part_in(leading(False))
    assert not compiling.takes_part_in(leading(False))


def test_the_first_combination_of_a_sweep_leads_it(tmp_path: Path) -> None:
    def read_as(text: str) -> list[bool]:
        (tmp_path / "case.yaml").write_text(text)
        return [case.leads_sweep for case in read(CaseFile(tmp_path / "case.yaml", tmp_path)).cases]

    swept = SMALL_CASE + "sweep: {sizes.time: [1, 2], dtype: [float32, float64]}\n"
    assert read_as(swept) == [True, False, False, False]
    assert read_as(SMALL_CASE) == [True]


def test_one_line_names_all_that_lack_a_framework() -> None:
    there, first = (
        of(),
        replace(of(), name="first", framework=Framework("absent", ("no_such_module",), install="torch")),
    )
    second = replace(first, name="second")
    install = "no_such_module, which is not installed; pip install 'bptt-harness[torch]'"
    assert not_installed([there, first]) == [f"first needs {install}"]
    assert not_installed([first, there, second]) == [f"first, second need {install}"]
