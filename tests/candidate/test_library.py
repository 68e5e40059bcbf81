"""The library of cases where there is no folder ``cases``, and beside one."""

import json
import shutil

import pytest

from harness.candidate.check.order import simplest_first
from harness.case import library, load, typed
from harness.cli import main
from tests.conftest import SMALL_CASE


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Run a command in a folder of its own, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        return ended.value.code, *capfd.readouterr()

    return run


@pytest.mark.slow
def test_without_a_folder_the_library_is_listed(command):
    status, out, err = command("list", "cases", "--json")
    names = {each["name"] for each in json.loads(out)}
    assert (status, err) == (0, "")
    assert "basic/tanh[dtype=float32]" in names
    assert len(names) > 400


@pytest.mark.slow
def test_a_folder_here_comes_before_the_library(command, tmp_path):
    own = tmp_path / "cases" / "basic"
    own.mkdir(parents=True)
    (own / "tanh.yaml").write_text(SMALL_CASE)
    (case,) = load(["basic/tanh"]).cases
    assert case.file == "cases/basic/tanh.yaml"
    assert [each["name"] for each in json.loads(command("list", "cases", "--json")[1])] == ["basic/tanh"]
    of_library = json.loads(command("list", "cases", "--library", "--json")[1])
    assert "basic/tanh[dtype=float32]" in {each["name"] for each in of_library}
    assert load(["basic/dot"]), "a name that is not here is one of the library"


def test_a_folder_of_something_else_hides_no_cases_of_its_name(command, tmp_path):
    (tmp_path / "basic").mkdir()
    (tmp_path / "basic" / "notes.md").write_text("# Notes\n")
    assert {case.name.partition("/")[0] for case in load(["basic"]).cases} == {"basic"}
    (tmp_path / "nothing").mkdir()
    assert command("run", "nothing")[0] == 5


@pytest.mark.slow
def test_cases_of_another_tool_lead_to_the_library(command, tmp_path):
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "shop.yaml").write_text("buy: [milk, bread]\n")
    command("new", "--implementation", "my_rnn.py")
    status, _, err = command("check", "my_rnn.py")
    assert status == 2
    assert "cases/shop.yaml" in err
    assert "name them: harness check my_rnn.py basic" in err
    assert command("check", "my_rnn.py", "basic/tanh")[0] == 0


def test_other_commands_name_the_library_where_nothing_is_selected(command):
    for name in ("run", "validate", "sensitivity"):
        status, _, err = command(name)
        assert status == 5, name
        assert "such as basic or cells/lstm" in err, name


@pytest.mark.slow
def test_advice_names_cases_and_no_paths(command, tmp_path):
    command("new", "--implementation", "my_rnn.py")
    file = tmp_path / "my_rnn.py"
    status, out, _ = command("check", "my_rnn.py", "basic/tanh")
    assert (status, out.splitlines()[-1]) == (0, "To check all cases, run: harness check my_rnn.py")
    file.write_text(file.read_text().replace("d_a @ W_hh.T", "d_a @ W_hh"))
    status, out, _ = command("check", "my_rnn.py", "basic/tanh")
    advice = "After fixing it, run: harness check my_rnn.py 'basic/tanh[dtype=float32]'"
    assert (status, out.splitlines()[-1]) == (1, advice)
    assert str(library()) not in out


def test_a_case_is_typed_by_its_name_only_where_that_leads_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    case = load(["basic/tanh"]).cases[0]
    assert typed(case) == "basic/tanh[dtype=float32]"
    (tmp_path / "cases" / "basic").mkdir(parents=True)
    shutil.copy(library() / "basic" / "tanh.yaml", tmp_path / "cases" / "basic")
    assert typed(case) == f"{library() / 'basic' / 'tanh.yaml'}[dtype=float32]"
    elsewhere = tmp_path / "other.yaml"
    elsewhere.write_text(SMALL_CASE)
    (case,) = load([str(elsewhere)]).cases
    assert typed(case) == "other"


@pytest.mark.slow
def test_basic_cases_are_first():
    names = [case.name for case in simplest_first(load([str(library() / "basic"), str(library() / "edge")]).cases)]
    folders = [name.partition("/")[0] for name in names]
    assert names[0].startswith("basic/tanh[")
    assert folders == sorted(folders)
