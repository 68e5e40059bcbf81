"""The output of the commands, and the modules that they do not import."""

import json
import subprocess
import sys

import pytest

from harness.implementations import implementations
from tests.conftest import same_everywhere

FRAMEWORKS = {module for each in implementations().values() for module in each.framework.modules} - {"numpy"}
HEAVY = {"numpy", "pandas", "pydantic", "rich", "yaml"} | FRAMEWORKS


def imported_by(*arguments):
    code = (
        "import sys, atexit, json\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"from harness.cli import main; main({list(arguments)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["port", "--help"], ["validate", "--help"], ["--version"]],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments):
    assert not HEAVY & set(imported_by(*arguments))


@pytest.mark.parametrize("arguments", [["list", "implementations"], ["schema"]], ids=" ".join)
def test_listing_imports_no_framework(arguments):
    assert {"torch", "tensorflow", "jax"} <= FRAMEWORKS
    assert not (FRAMEWORKS | {"pandas"}) & set(imported_by(*arguments))


def test_a_run_imports_no_framework_into_the_harness_itself(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    loaded = set(imported_by("run", "--impl", "numpy-concat"))
    assert "numpy" in loaded
    assert not FRAMEWORKS & loaded


def test_every_command_explains_itself(harness):
    commands = ["run", "validate", "list", "schema", "doctor"]
    text = harness("--help").stdout
    for command in commands:
        assert f"\n  {command} " in text
        assert "Usage:" in harness(command, "--help").stdout


PAGES = {
    "a right one": "run --impl numpy-concat",
    "right, wrong and failing ones": "run --impl numpy-concat,transposed,not_a_number,missing,representing_nothing",
    "a diagnosis": "diagnose small --impl transposed",
    "what a report has of a case": "show reports/latest",
    "mistakes in case files": "validate",
    "no such implementation": "run --impl numpy-spilt",
    "no such case": "run smal",
    "no such command": "rnu",
    "the help": "--help",
}


def test_what_the_commands_print(harness, workplace, snapshot):
    """After a change to the words: make snapshots, and read what it changes."""
    said = {}
    for name, arguments in PAGES.items():
        if name == "mistakes in case files":
            (workplace / "cases" / "bad.yaml").write_text("sizes: {batch: 0, time: 2, input: 3}\nactivation: tan\n")
        done = harness(*arguments.split())
        text = f"$ harness {arguments}\n{done.stdout}--- errors, status {done.returncode}\n{done.stderr}"
        said[name] = same_everywhere(text, workplace)
    assert said == snapshot


def test_json_holds_every_pair_and_goes_to_standard_output_alone(harness):
    done = harness("run", "--impl", "numpy-concat,sign,printing", "--json")
    result = json.loads(done.stdout)
    assert {each["implementation"]: each["verdict"] for each in result["results"]} == {
        "numpy-concat": "match",
        "sign": "mismatch",
        "printing": "match",
    }
    assert result["exit_status"] == done.returncode == 1
    assert "layer0.h0" in next(each["reason"] for each in result["results"] if each["implementation"] == "sign")


def test_what_a_failing_implementation_said_is_shown_and_the_chatter_of_others_is_not(harness):
    done = harness("run", "--impl", "raising,aborting,printing")
    assert "not aligned" in done.stderr
    assert "about to abort" in done.stderr
    assert "straight to the descriptor" not in done.stdout


def test_validate_lists_every_mistake_of_every_file(harness, workplace):
    (workplace / "cases" / "one.yaml").write_text("sizes: {batch: 0, time: 2, input: 3, hidden: 4}\nactivation: tan\n")
    (workplace / "cases" / "two.yaml").write_text("layers: 1\n")
    done = harness("validate")
    assert done.returncode == 2
    assert "cases/one.yaml:1:16: sizes.batch" in done.stdout
    assert "cases/one.yaml:2:13: activation" in done.stdout
    assert "cases/two.yaml:1:1: sizes" in done.stdout
    found = json.loads(harness("validate", "--json").stdout)
    assert found["valid"] == ["small"]
    assert {(each["file"], each["line"]) for each in found["mistakes"]} == {
        ("cases/one.yaml", 1),
        ("cases/one.yaml", 2),
        ("cases/two.yaml", 1),
    }


def test_list_shows_cases_and_implementations(harness):
    assert json.loads(harness("list", "cases", "--json").stdout) == [
        {"name": "small", "about": "Small, and hides nothing."}
    ]
    listed = {each["name"]: each for each in json.loads(harness("list", "implementations", "--json").stdout)}
    assert listed["keras"]["layout"] == "keras"
    assert "pip install" in listed["absent"]["ready"]


def test_the_committed_schema_is_that_of_the_code(pytestconfig):
    from harness.case.json_schema import json_schema

    committed = json.loads((pytestconfig.rootpath / "case.schema.json").read_text())
    assert committed == json_schema(), "`make schema` writes it anew"


def test_new_says_as_json_what_it_wrote(harness, workplace):
    told = json.loads(harness("new", "mine", "--json").stdout)
    assert (workplace / told["file"]).read_text()
    assert told["next"].startswith(f"harness validate {told['file']}")
