"""``harness new`` writes files that are right as they are, and overwrites none."""

import shutil

import pytest

from harness.candidate.templates import CELLS
from harness.tensors import GATES


@pytest.mark.parametrize("name", ["mine", "mine.yaml", "cases/mine.yaml"])
def test_a_new_case_is_valid_and_matches(check, workplace, name):
    done = check.command("new", name)
    assert done.status == 0, done.err
    assert "wrote cases/mine.yaml" in done.out
    assert check.command("validate", "cases/mine.yaml").status == 0
    assert check.command("run", "cases/mine.yaml", "--impl", "numpy-concat").status == 0


def test_a_new_case_in_a_folder_finds_the_schema(check, workplace, pytestconfig):
    shutil.copy(pytestconfig.rootpath / "case.schema.json", workplace)
    assert check.command("new", "deep/er/mine").status == 0
    first, second = (workplace / "cases/deep/er/mine.yaml").read_text().splitlines()[:2]
    assert first == "# yaml-language-server: $schema=../../../case.schema.json"
    assert second.startswith("about: ")


def test_a_new_case_names_no_schema_where_there_is_none(check, workplace):
    assert check.command("new", "mine").status == 0
    assert (workplace / "cases/mine.yaml").read_text().startswith("about: ")


@pytest.mark.framework("torch", "tensorflow", "tf_keras")  # whose initial weights some of the cases have
def test_a_new_implementation_passes_where_it_can_and_says_where_it_cannot(check, workplace, pytestconfig):
    shutil.copytree(pytestconfig.rootpath / "cases", workplace / "all" / "cases")
    done = check.command("new", "--implementation", "first.py")
    assert done.status == 0
    assert "next: harness check first.py" in done.out
    done = check.command(
        "check",
        "first.py",
        "all/cases/basic/activations.yaml",
        "all/cases/basic/layers.yaml",
        "all/cases/tutorials/split_softmax.yaml",
        "all/cases/edge/chaotic.yaml",
        "all/cases/truncation",
        "all/cases/cells/lengths_activations.yaml",
        "all/cases/cells/lengths_last_step.yaml",
        "all/cases/cells/bidirectional.yaml",
        "--json",
    )
    assert done.status == 0, done.out + done.err
    results = done.json["results"]
    matching = [each["case"] for each in results if each["verdict"] == "match"]
    assert len(matching) == 2 + 2 + 8 + 4
    assert {each["reason"] for each in results if each["verdict"] == "unsupported"} == {
        "only tanh cells",
        "only one layer",
        "only full gradients",
        "only one direction",
        "only sequences of equal length",
    }
    assert not any(each["remarks"] or each["not_provided"] for each in results if each["verdict"] == "match")


@pytest.mark.parametrize(
    ("cell", "refused"),
    [
        ("lstm", {"only lstm cells", "only one layer"}),
        ("gru", {"only gru cells", "only the reset gate after the product", "only one layer"}),
    ],
)
def test_a_new_implementation_of_a_gated_cell_passes_too(check, workplace, pytestconfig, cell, refused):
    shutil.copytree(pytestconfig.rootpath / "cases" / "cells", workplace / "all" / "cases" / "cells")
    done = check.command("new", "--implementation", "first.py", "--cell", cell)
    assert done.status == 0
    assert f"one {cell} layer by hand" in done.out
    files = [f"all/cases/cells/{name}.yaml" for name in ("smallest", cell)]
    done = check.command("check", "first.py", *files, "--json")
    assert done.status == 0, done.out + done.err
    results = done.json["results"]
    assert len([each for each in results if each["verdict"] == "match"]) == 2 + 2  # two of each file
    assert {each["reason"] for each in results if each["verdict"] == "unsupported"} == refused
    assert not any(each["remarks"] or each["not_provided"] for each in results if each["verdict"] == "match")


def test_nothing_is_overwritten(check, workplace):
    (workplace / "mine.py").write_text("years of work")
    for arguments in (["new", "small"], ["new", "--implementation", "mine.py"], ["new", "--implementation", "mine"]):
        done = check.command(*arguments)
        assert done.status == 2
        assert "already exists and was not changed" in done.err
    assert (workplace / "mine.py").read_text() == "years of work"
    assert "One layer, nothing hidden" in (workplace / "cases/small.yaml").read_text()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a b", "a[b]", ""])
def test_a_name_that_is_none_is_refused(check, name):
    done = check.command("new", name)
    assert done.status == 2
    assert "such as mine or lstm/mine" in done.err


@pytest.mark.parametrize("arguments", [[], ["mine", "--implementation", "mine.py"]], ids=["neither", "both"])
def test_one_thing_at_a_time(check, arguments):
    done = check.command("new", *arguments)
    assert done.status == 2
    assert "harness new --implementation" in done.err


def test_a_name_that_begins_as_an_option_is_typed_behind_two_dashes(check):
    done = check.command("new", "--implementation", "-x.py")
    assert done.out.endswith("next: harness check -- -x.py\n")
    checked = check.command("check", "--require-all", "--", "-x.py", "small")
    assert checked.status == 0, checked.out + checked.err
    assert checked.out.splitlines()[-1].startswith("To check all cases, run: harness check --require-all -- -x.py")
    shown = check.command("show", "reports/check", "--case", "small")
    assert "next: harness check --require-all -- -x.py 'small'" in shown.out


def test_an_implementation_is_a_python_file(check):
    done = check.command("new", "--implementation", "mine.txt")
    assert done.status == 2
    assert "such as mine.py" in done.err


@pytest.mark.parametrize("cell", CELLS)
def test_a_new_case_of_each_cell_is_valid_and_matches(check, workplace, cell):
    assert check.command("new", "mine", "--cell", cell).status == 0
    assert f"\ncell: {cell} " in "\n" + (workplace / "cases/mine.yaml").read_text()
    assert check.command("validate", "cases/mine.yaml").status == 0
    assert check.command("run", "cases/mine.yaml", "--impl", "numpy-concat").status == 0


@pytest.mark.slow
def test_a_new_case_of_a_recurrence_is_valid_with_each_key_that_it_shows(check, workplace):
    assert check.command("new", "mine", "--cell", "min_gru").status == 0
    path = workplace / "cases/mine.yaml"
    text = path.read_text()
    keys = [line for line in text.splitlines() if line.startswith("# ")][1:]
    assert len(keys) >= 8
    for key in keys:
        path.write_text(
            text.replace(key, key.removeprefix("# ")).replace("I: 4", "I: 4, output: 2" * ("readout" in key) or "I: 4")
        )
        done = check.command("validate", "cases/mine.yaml")
        assert done.status == 0 or key.startswith("# targets"), done.err  # those need a loss of targets
    path.write_text(text)
    assert check.command("run", "cases/mine.yaml", "--impl", "forward-mode").status == 0


def test_a_cell_of_no_recurrence_is_refused(check):
    assert "did you mean 'min_gru'?" in check.command("new", "mine", "--cell", "mingru").err
    assert "--recurrence takes any step" in check.command("new", "--implementation", "a.py", "--cell", "mlstm").err


def test_the_cells_of_a_new_case_are_those_that_there_are():
    from harness.cli.new import CELLS as OFFERED

    assert set(OFFERED) == set(CELLS) == set(GATES)


def test_a_new_case_starts_from_another(check, workplace, pytestconfig):
    shutil.copy(pytestconfig.rootpath / "case.schema.json", workplace)
    shutil.copytree(pytestconfig.rootpath / "cases" / "truncation", workplace / "cases" / "truncation")
    done = check.command("new", "deep/mine", "--like", "truncation/detach")
    assert done.status == 0, done.err
    assert "state its purpose in `about`" in done.out
    new = (workplace / "cases/deep/mine.yaml").read_text().splitlines()
    old = (workplace / "cases/truncation/detach.yaml").read_text().splitlines()
    assert new[0] == "# yaml-language-server: $schema=../../case.schema.json"
    assert new[1:] == old[1:]
    assert check.command("validate", "cases/deep/mine.yaml").status == 0


def test_a_new_case_cannot_start_from_what_is_none_or_from_two_things(check, workplace):
    assert "did you mean 'small'?" in check.command("new", "mine", "--like", "smal").err
    assert "leave out --cell" in check.command("new", "mine", "--like", "small", "--cell", "gru").err
    assert "not for an implementation" in check.command("new", "--implementation", "a.py", "--like", "small").err
    small = workplace / "cases" / "small.yaml"
    small.write_text(small.read_text() + "# inputs: {file: x.npz, key: x}\n")
    refused = check.command("new", "deep/mine", "--like", "small")
    assert refused.status == 2
    assert "reads arrays from files beside it" in refused.err
    assert not (workplace / "cases" / "deep").exists()
