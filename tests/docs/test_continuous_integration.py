"""The GitHub Action and the pre-commit hooks, as docs/continuous-integration.md has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, SMALL_CASE

PAGE = ROOT / "docs" / "continuous-integration.md"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
INSTALL, CHECK, SUMMARY, KEEP = STEPS
Run = Callable[..., subprocess.CompletedProcess[str]]


def shown(file: str) -> dict[str, Any]:
    """The YAML that the page shows for a file."""
    pattern = rf"<!-- file: {re.escape(file)} -->\n```yaml\n(.*?)\n```"
    block = re.search(pattern, PAGE.read_text(), re.DOTALL)
    assert block is not None
    return yaml.safe_load(block[1])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with an implementation that is right, and a case."""
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "small.yaml").write_text(SMALL_CASE.replace("layers: 2\n", ""))
    shutil.copy(ROOT / "harness" / "candidate" / "templates" / "my_rnn.py", tmp_path / "my_rnn.py")
    return tmp_path


def spoil(repository: Path) -> None:
    file = repository / "my_rnn.py"
    file.write_text(file.read_text().replace("d_a @ W_hh.T", "d_a @ W_hh"))


@pytest.fixture
def run(repository: Path) -> Run:
    """Run a command in the repository, with the harness on the path."""

    def run(*command: str, first: tuple[Path, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(map(str, [*first, Path(sys.executable).parent, os.environ["PATH"]]))
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **variables}
        return subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return run


@pytest.fixture
def step(repository: Path, run: Run) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a step of the action as GitHub does, with these inputs."""

    def step(name: str, first: tuple[Path, ...] = (), **given: str) -> subprocess.CompletedProcess[str]:
        defaults = {key: value["default"] for key, value in ACTION["inputs"].items() if "default" in value}
        inputs = {**defaults, **given}
        assert inputs.keys() == ACTION["inputs"].keys()

        def valued(text: str) -> str:
            contexts = {f"inputs.{key}": value for key, value in inputs.items()} | {"github.action_path": str(ROOT)}
            return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: contexts[found[1]], text)

        script = repository / "step.sh"
        script.write_text(STEPS[name]["run"])
        variables = {key: valued(value) for key, value in STEPS[name].get("env", {}).items()}
        # https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax: what `shell: bash` is.
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
        return run(*shell, first=first, GITHUB_STEP_SUMMARY=str(repository / "page.md"), **variables)

    return step


def test_the_action_installs_its_own_version_into_the_python_that_is_there(step, repository):
    python = repository / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > installed.txt\n')
    python.chmod(0o755)
    assert step(INSTALL, first=(python.parent,), implementation="my_rnn.py").returncode == 0
    assert (repository / "installed.txt").read_text().splitlines() == ["-m", "pip", "install", str(ROOT)]


def test_the_action_passes_what_is_right(step, repository):
    done = step(CHECK, implementation="my_rnn.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert step(SUMMARY, implementation="my_rnn.py").returncode == 0
    assert "1 match" in (repository / "page.md").read_text()


def test_the_action_fails_on_what_is_wrong_and_names_it_on_the_page(step, repository):
    spoil(repository)
    (repository / "page.md").write_text("# What another step wrote\n")
    case = repository / "cases" / "small.yaml"
    case.write_text(case.read_text() + "sweep: {dtype: [float32, float64]}\n")
    (repository / "smalld").touch()  # what the brackets would become, were they a pattern
    inputs = {"implementation": "my_rnn.py:my_bptt", "cases": "small[dtype=float64]", "report": "a report/here"}
    assert step(CHECK, **inputs).returncode == 1
    assert step(SUMMARY, **inputs).returncode == 0
    page = (repository / "page.md").read_text()
    assert page.startswith("# What another step wrote\n")
    assert "carry-untransposed" in page
    assert "Failed: 1 of 1 case" in page
    assert (repository / "a report" / "here" / "index.html").is_file()


def test_inputs_are_no_code_and_without_a_report_the_page_says_so(step, repository):
    for each in STEPS.values():
        assert "${{" not in each.get("run", ""), "an input in a script is code that a pull request brings"
    inputs = {"implementation": "not_there.py; touch broken", "cases": "$(touch broken) *"}
    assert step(CHECK, **inputs).returncode == 2
    assert not (repository / "broken").exists()
    assert step(SUMMARY, **inputs).returncode == 0
    assert "wrote no report" in (repository / "page.md").read_text()


def test_the_report_is_kept_whatever_came_before():
    assert STEPS[SUMMARY]["if"] == STEPS[KEEP]["if"] == "always()"
    assert STEPS[KEEP]["uses"].startswith("actions/upload-artifact@v")
    assert STEPS[KEEP]["with"] == {"name": "${{ inputs.artifact }}", "path": "${{ inputs.report }}"}


def test_the_workflow_on_the_page_gives_inputs_that_there_are():
    steps = shown(".github/workflows/gradients.yml")["jobs"]["check"]["steps"]
    (used,) = [step for step in steps if "REPOSITORY" in step.get("uses", "")]
    assert used["with"].keys() <= ACTION["inputs"].keys()
    required = {name for name, each in ACTION["inputs"].items() if each.get("required")}
    assert required <= used["with"].keys()
    table = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert table == list(ACTION["inputs"])


def test_the_page_pins_the_hooks_and_the_action_to_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (entry,) = shown(".pre-commit-config.yaml")["repos"]
    steps = shown(".github/workflows/gradients.yml")["jobs"]["check"]["steps"]
    (used,) = [step["uses"] for step in steps if "REPOSITORY" in step.get("uses", "")]
    assert entry["rev"] == f"v{version}"
    assert used == f"REPOSITORY@v{version}"
    for step in [*steps, *ACTION["runs"]["steps"]]:
        assert re.search(r"@v\d", step.get("uses", "@v1")), "an action without a version changes by itself"


@pytest.fixture
def pre_commit(repository: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the hooks by the configuration on the page, in the environment that is there instead of one of their own."""
    offered = tmp_path_factory.mktemp("offered")
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", offered)
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "hooks"]):
        assert run(*git, "-C", str(offered), *command).returncode == 0
    configuration = shown(".pre-commit-config.yaml")
    (entry,) = configuration["repos"]
    entry.update(repo=str(offered), rev=run("git", "-C", str(offered), "rev-parse", "HEAD").stdout.strip())
    for hook in entry["hooks"]:
        hook["language"] = "system"
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(configuration))
    assert run(*git, "init", "--quiet").returncode == 0
    home = str(tmp_path_factory.mktemp("home"))

    def hooks(*files: str, hook: str | None = None) -> subprocess.CompletedProcess[str]:
        assert run(*git, "add", "--all").returncode == 0
        command = (sys.executable, "-m", "pre_commit", "run", *([hook] if hook else []), "--files", *files)
        return run(*command, PRE_COMMIT_HOME=home)

    return hooks


def test_the_hooks_pass_what_is_right_and_say_what_is_wrong(pre_commit, repository):
    spoil(repository)
    done = pre_commit("my_rnn.py", "cases/small.yaml")
    assert done.returncode == 1
    assert re.findall(r"(?<=\.)(?:Passed|Failed)|Skipped", done.stdout) == ["Passed", "Failed"], (
        done.stdout + done.stderr
    )
    assert "exit code: 1" in done.stdout, "what changed is no argument"
    assert "Likely cause: carry-untransposed" in done.stdout


def test_the_hooks_refuse_a_case_with_a_mistake(pre_commit, repository):
    case = repository / "cases" / "small.yaml"
    case.write_text(case.read_text() + "layer: 2\n")
    done = pre_commit("cases/small.yaml", hook="harness-validate")
    assert re.findall(r"(?<=\.)(?:Passed|Failed)|Skipped", done.stdout) == ["Failed"]
    assert "did you mean 'layers'" in done.stdout


def test_other_files_start_no_hook(pre_commit, repository):
    (repository / "notes.md").write_text("# Notes\n")
    assert re.findall(r"(?<=\.)(?:Passed|Failed)|Skipped", pre_commit("notes.md").stdout) == ["Skipped", "Skipped"]
