"""An implementation that differs on purpose takes part only where a case lists it by name."""

from dataclasses import replace

import pytest

from harness.case.fields import Fields, Sizes
from harness.implementations import Implementation, implementations

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
