"""pytest on case files, run as a user runs it."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FAULTY = ROOT / "tests" / "faulty"


@pytest.fixture
def run_pytest(workplace):
    """Run pytest in the workplace, whose project lists its folder of cases.

    Of all plugins that are installed, ours and pytest-xdist alone are loaded, unless ``every_plugin``: the others take
    longer than the tests here.
    """
    (workplace / "pytest.ini").write_text("[pytest]\nharness_cases = cases\n")

    def run(*arguments, every_plugin=False):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTY), str(ROOT)])}
        if not every_plugin:
            environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            environment["PYTEST_PLUGINS"] = "harness.pytest_plugin,xdist.plugin"
        return subprocess.run(
            command, cwd=workplace, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def only(*names):
    return "--harness-impl", ",".join(names)


def test_there_is_one_test_for_each_case_and_implementation(run_pytest, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "sweep: {sizes.time: [1, 2]}\n")
    done = run_pytest("--collect-only", "-q", *only("numpy-concat", "sign"))
    assert done.stdout.splitlines()[:4] == [
        "cases/small.yaml::numpy-concat[sizes.time=1]",
        "cases/small.yaml::sign[sizes.time=1]",
        "cases/small.yaml::numpy-concat[sizes.time=2]",
        "cases/small.yaml::sign[sizes.time=2]",
    ]


def test_every_implementation_is_collected_by_default_except_the_baseline(run_pytest):
    collected = run_pytest("--collect-only", "-q").stdout
    for name in ("keras", "numpy-concat", "tf1", "torch", "torch-cell"):
        assert f"cases/small.yaml::{name}\n" in collected
    assert "::numpy-split" not in collected


@pytest.mark.skipif(find_spec("jax") is None, reason="jax is not installed")
def test_one_that_compiles_is_collected_once_of_a_sweep_unless_it_is_asked_for(run_pytest, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "sweep: {sizes.time: [1, 2]}\n")
    named = {each: f"cases/small.yaml::jax[sizes.time={each}]\n" for each in (1, 2)}
    by_default = run_pytest("--collect-only", "-q").stdout
    assert named[1] in by_default
    assert named[2] not in by_default
    asked_for = run_pytest("--collect-only", "-q", *only("jax")).stdout
    assert named[1] + named[2] in asked_for


def test_a_new_file_is_picked_up(run_pytest, workplace):
    text = (workplace / "cases" / "small.yaml").read_text()
    (workplace / "cases" / "deep").mkdir()
    (workplace / "cases" / "deep" / "new.yaml").write_text(text)
    done = run_pytest("-q", *only("numpy-concat"))
    assert done.returncode == 0
    assert "2 passed" in done.stdout


def test_a_failure_names_tensor_index_values_bound_and_command(run_pytest):
    done = run_pytest(*only("off_by_a_millionth"), every_plugin=True)
    assert done.returncode == 1
    text = done.stdout
    assert "small: off_by_a_millionth against numpy-split: mismatch: 1 of 11 tensors disagree" in text
    assert "layer0.W_hh: 1 of 25 elements outside the tolerance; worst at [0, 1]: actual -0.754" in text
    assert "expected -0.754" in text
    assert "allowed 3." in text
    assert "harness run 'small' --impl off_by_a_millionth --baseline numpy-split --elements all" in text
    assert "Traceback" not in text
    assert "def runtest" not in text


def test_wrong_implementations_fail(run_pytest):
    wrong = ["transposed", "sign", "swapped_layers", "missing", "extra", "wrong_dtype", "not_a_number", "raising"]
    said = run_pytest("-q", *only(*wrong, "numpy-concat")).stdout
    assert "8 failed, 1 passed" in said
    for name in wrong:
        assert f"FAILED cases/small.yaml::{name}" in said


def test_unsupported_is_a_skip_with_the_reason(run_pytest):
    done = run_pytest("-rs", *only("representing_nothing"))
    assert "1 skipped" in done.stdout
    assert "this one represents nothing" in done.stdout


def test_selection_and_parallel_runs(run_pytest, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "sweep: {sizes.time: [1, 2, 3]}\n")
    assert (
        "3 passed, 3 deselected"
        in run_pytest("-q", "-k", "small and printing", *only("numpy-concat", "printing")).stdout
    )
    for how in ("load", "loadfile"):
        assert "6 passed" in run_pytest("-q", "-n", "2", "--dist", how, *only("numpy-concat", "printing")).stdout


def test_the_implementations_of_a_case_run_together_where_whole_files_are_distributed(run_pytest, workplace):
    """Its baseline and its floor are then computed once, and it takes the time of the slowest."""
    (workplace / "conftest.py").write_text(
        "import harness.execution.session\n"
        "run_case = harness.execution.session.run_case\n"
        "def counted(*arguments):\n"
        "    with open('ran.txt', 'a') as file:\n"
        "        print(len(arguments[1]), file=file)\n"
        "    return run_case(*arguments)\n"
        "harness.execution.session.run_case = counted\n"
    )
    for how, ran in (("loadfile", ["3"]), ("load", ["2", "2"])):
        assert "2 passed" in run_pytest("-n", "2", "--dist", how, *only("numpy-concat", "printing")).stdout
        assert (workplace / "ran.txt").read_text().split() == ran, how
        (workplace / "ran.txt").unlink()


def test_a_documented_mismatch_passes_and_its_absence_fails(run_pytest, workplace):
    case = workplace / "cases" / "small.yaml"
    case.write_text(case.read_text() + "expect: mismatch\nbecause: of the sign\n")
    assert "2 passed" in run_pytest("-q", *only("sign", "numpy-concat")).stdout
    assert "1 failed" in run_pytest("-q", *only("numpy-concat")).stdout


def test_a_mistake_in_a_case_file_is_located(run_pytest, workplace):
    (workplace / "cases" / "bad.yaml").write_text("sizes: {batch: 1, time: 2, input: 3, hiden: 4}\n")
    done = run_pytest("-q")
    assert done.returncode == 2
    assert "bad.yaml:1:38: sizes.hiden: unknown key; did you mean 'hidden'?" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("name", "words"), [("sgin", "did you mean 'sign'?"), ("absent", "pip install")], ids=["unknown", "not_installed"]
)
def test_what_cannot_be_run_ends_the_session_at_once(run_pytest, name, words):
    done = run_pytest("-q", *only(name))
    assert done.returncode == 4
    assert words in done.stderr


def test_yaml_files_elsewhere_are_left_alone(run_pytest, workplace):
    (workplace / "compose.yaml").write_text("services: {}\n")
    (workplace / "elsewhere.yaml").write_text((workplace / "cases" / "small.yaml").read_text())
    assert "1 passed" in run_pytest("-q", *only("numpy-concat")).stdout
    assert "not found" in run_pytest("-q", "elsewhere.yaml", *only("numpy-concat")).stderr


def test_a_folder_that_is_not_there_ends_the_session_at_once(run_pytest):
    done = run_pytest("-q", "-o", "harness_cases=cases casse")
    assert done.returncode == 4
    assert "harness_cases names 'casse'" in done.stderr


def test_the_marker_of_case_tests_is_our_own(run_pytest):
    assert "1 passed" in run_pytest("-q", "-m", "harness_case", "--strict-markers", *only("numpy-concat")).stdout
    assert "@pytest.mark.framework" not in run_pytest("--markers").stdout


SCHEMA_LINE = "# yaml-language-server: $schema=../case.schema.json\n"


def test_a_file_that_says_what_it_is_needs_no_option(run_pytest, workplace):
    (workplace / "pytest.ini").write_text("[pytest]\n")
    assert run_pytest("-q").returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    case = workplace / "cases" / "small.yaml"
    text = case.read_text()
    case.write_text(f"# Ours.\n{SCHEMA_LINE}{text}")
    assert run_pytest("-q").returncode == pytest.ExitCode.NO_TESTS_COLLECTED, "there is no such schema"
    shutil.copy(ROOT / "case.schema.json", workplace)
    assert "1 passed" in run_pytest("-q", *only("numpy-concat")).stdout
    case.unlink()
    case = workplace / "elsewhere.yaml"
    case.write_text(f"{SCHEMA_LINE.replace('../', './')}{text}")
    assert run_pytest("-q").returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "1 passed" in run_pytest("-q", "elsewhere.yaml", *only("numpy-concat")).stdout


def test_the_plugin_knows_names_and_the_schema_as_the_harness_does():
    """It imports nothing of the harness before there is a case file, so that it has both once more."""
    from harness import pytest_plugin
    from harness.case import json_schema, loading

    assert (pytest_plugin.TITLE, pytest_plugin.MEANT) == (json_schema.TITLE, loading.MEANT)
    assert pytest_plugin._is_our_schema(ROOT / "case.schema.json")


@pytest.mark.parametrize("name", [".yaml", "small.yaml ", "small.YML"])
def test_a_name_that_is_a_mistake_is_one_here_too(run_pytest, workplace, name):
    (workplace / "cases" / "small.yaml").rename(workplace / "cases" / name)
    done = run_pytest("-q")
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "rename it to" in done.stdout


FOREIGN = (
    "court: supreme\nparties: [a, b]\n",
    "# yaml-language-server: $schema=../other.schema.json\ncourt: supreme\n",
    f"# No.\n# No.\n# No.\n{SCHEMA_LINE}court: supreme\n",
    "# yaml-language-server: $schema=./case.schema.json\ncourt: supreme\n",
    "# yaml-language-server: $schema=https://courts.example/case.schema.json\ncourt: supreme\n",
    "# yaml-language-server: $schema=./broken/case.schema.json\ncourt: supreme\n",
    "\tno YAML at all: [\n",
)


def test_somebody_elses_project_notices_nothing(tmp_path):
    """With warnings as errors and every check of names; no module of ours is imported but the plugin."""
    (tmp_path / "cases" / "framework").mkdir(parents=True)
    for number, text in enumerate(FOREIGN):
        (tmp_path / "cases" / "framework" / f"{number}.yaml").write_text(text)
        (tmp_path / "cases" / f"{number}.yaml").write_text(text)
    (tmp_path / "cases" / "broken").mkdir()
    (tmp_path / "cases" / "broken" / "case.schema.json").write_text("{")
    for folder in (tmp_path / "cases", tmp_path / "cases" / "framework"):
        (folder / "case.schema.json").write_text('{"title": "Case", "type": "object"}')
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    framework: theirs\n    cases: theirs\n")
    (tmp_path / "conftest.py").write_text(
        "def pytest_addoption(parser):\n"
        "    for name in ('--impl', '--baseline', '--no-cache', '--cases'):\n"
        "        parser.addoption(name)\n"
        "    parser.addini('cases', 'theirs')\n"
    )
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "import pytest\n"
        "@pytest.mark.framework\n"
        "@pytest.mark.cases\n"
        "def test_modules():\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] in ('harness', 'reference_impls')}\n"
        "    assert ours <= {'harness', 'harness.pytest_plugin'}\n"
        "    assert not {'numpy', 'yaml', 'pydantic', 'pandas', 'click'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "--strict-markers", "--strict-config"]
    command += ["-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:xdist"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for arguments in (command, [*command, "test_theirs.py", "cases"]):
        done = subprocess.run(
            arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 passed in" in done.stdout
        assert done.stderr == ""


def test_what_was_answered_before_is_not_asked_again_unless_told(run_pytest, workplace, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(workplace / "cache"))
    (workplace / "conftest.py").write_text(
        "from harness.execution.processes import Workers\n"
        "ask = Workers._ask_process\n"
        "def counted(*arguments):\n"
        "    with open('asked.txt', 'a') as file:\n"
        "        print(arguments[2]['do'], file=file)\n"
        "    return ask(*arguments)\n"
        "Workers._ask_process = counted\n"
    )

    def asked(*options):
        assert "1 passed" in run_pytest("-q", *only("numpy-concat"), *options).stdout
        file = workplace / "asked.txt"
        done = sorted(file.read_text().split()) if file.exists() else []
        file.unlink(missing_ok=True)
        return done

    everything = ["floor", "rounding_noise", "run", "run"]
    assert asked() == everything
    assert asked() == []
    assert asked("--harness-no-cache") == everything


def test_no_control_sequence_of_a_case_file_reaches_the_terminal(run_pytest, workplace):
    (workplace / "cases" / "small.yaml").write_text('sizes: {batch: 1, "ti\\e]0;owned\\ame": 2}\n')
    done = run_pytest("cases/small.yaml")
    assert r"the character \x1b is not allowed" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
