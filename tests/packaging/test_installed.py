"""The wheel in a fresh environment, with what it depends on and nothing else, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

VERSIONS = ("3.11", "3.12", "3.13")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
Command = Callable[..., subprocess.CompletedProcess[str]]


def interpreters() -> dict[str, str]:
    """Return an interpreter of each version that this machine has: this one, those on the path, those of pyenv."""
    found = {THIS: sys.executable}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in VERSIONS:
        names = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
        for name in filter(None, names):
            told = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=60, check=False)
            if told.returncode == 0 and told.stdout.startswith(f"Python {version}."):
                found.setdefault(version, name)
    return {version: found[version] for version in VERSIONS if version in found}


def needed(*names: str) -> set[str]:
    """Return the names of distributions and of all that they need here, without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def link(name: str, there: Path) -> None:
    """Have a distribution of this environment in another one, too."""
    own = distribution(name)
    for top in {file.parts[0] for file in own.files or () if file.parts[0] not in ("..", "__pycache__")}:
        (there / top).symlink_to(Path(str(own.locate_file(top))))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this tree, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, timeout=240, check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(
    scope="module", params=[pytest.param(each, marks=pytest.mark.full if each != THIS else ()) for each in VERSIONS]
)
def environment(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the commands of an environment with the wheel."""
    there = interpreters()
    if request.param not in there:
        pytest.skip(f"this machine has no Python {request.param}")
    folder = tmp_path_factory.mktemp(f"python-{request.param}")
    subprocess.run([there[request.param], "-m", "venv", str(folder)], timeout=240, check=True)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(commands / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if request.param == THIS:  # it shares what is installed here, so it needs no network
        site = Path(venv_site(commands))
        names = {Requirement(text).name for text in requirements()} | {"pytest"}
        for name in needed(*names):
            link(name, site)
        pip += ["--no-index", "--no-deps"]
    else:
        pip += ["pytest"]
    done = subprocess.run([*pip, str(wheel)], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode and request.param != THIS:
        pytest.skip(f"its dependencies cannot be installed for Python {request.param}: {done.stderr[-500:]}")
    assert done.returncode == 0, done.stderr
    return commands


def venv_site(commands: Path) -> str:
    """Return the folder of an environment that packages are installed in."""
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    done = subprocess.run([commands / "python", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def requirements() -> Iterator[str]:
    """Yield what the package needs without extras."""
    import tomllib

    yield from tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Command:
    """Run a command of the environment in an empty folder."""
    unset = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP")
    variables = {name: value for name, value in os.environ.items() if name not in unset}
    variables |= {"PATH": os.pathsep.join([str(environment), variables["PATH"]])}
    variables |= {"HARNESS_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}
    folder = tmp_path / "empty"
    folder.mkdir()

    def run(*command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(environment / command[0]), *command[1:]],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


def following(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the command that another one advises in its last line."""
    (advised,) = re.findall(r"(?:next|run): (harness .*)", done.stdout.splitlines()[-1])
    return shlex.split(advised)


def test_the_environment_has_no_framework_and_the_harness_of_the_wheel(run):
    code = (
        "import importlib.util as u, harness\n"
        "print([n for n in ('torch', 'tensorflow', 'jax', 'onnx', 'flint', 'matplotlib') if u.find_spec(n)])\n"
        "print(harness.__file__)"
    )
    none, file = run("python", "-c", code).stdout.splitlines()
    assert none == "[]"
    assert not Path(file).is_relative_to(ROOT)


def test_the_first_verdict_in_an_empty_folder(run, tmp_path):
    advised = following(run("harness", "new", "--implementation", "my_rnn.py"))
    assert advised == ["harness", "check", "my_rnn.py"]
    done = run(*advised)
    assert "Passed: " in done.stdout
    assert done.stdout.index("basic/tanh") < done.stdout.index("edge/")
    file = tmp_path / "empty" / "my_rnn.py"
    file.write_text(file.read_text().replace("d_a @ W_hh.T", "d_a @ W_hh"))
    done = run("harness", "check", "my_rnn.py", "basic", status=1)
    assert "Likely cause: carry-untransposed" in done.stdout
    advised = following(done)
    assert advised == ["harness", "check", "my_rnn.py", "basic/tanh[dtype=float32]"]
    assert "basic/tanh[dtype=float32]: mismatch" in run(*advised, status=1).stdout
    file.write_text(file.read_text().replace("d_a @ W_hh", "d_a @ W_hh.T"))
    assert following(run(*advised)) == ["harness", "check", "my_rnn.py"]
    assert "site-packages" not in done.stdout, "what is advised and shown has no path into the installation"


def test_the_library_is_listed_and_run_by_name(run):
    names = {each["name"] for each in json.loads(run("harness", "list", "cases", "--json").stdout)}
    assert "basic/tanh[dtype=float32]" in names
    assert len(names) > 400
    done = run("harness", "run", "basic/tanh", "--impl", "numpy-concat,complex-step")
    assert "Passed: 2 of 2 cases as expected" in done.stdout


def test_python_finds_cases_by_name(run, tmp_path):
    run("harness", "new", "--implementation", "my_rnn.py")
    (tmp_path / "empty" / "gradients.py").write_text(
        "import harness\nfrom my_rnn import my_bptt\nharness.assert_gradients_match(my_bptt, 'basic/tanh')\n"
    )
    run("python", "gradients.py")


def test_a_project_of_another_kind_notices_nothing(run, tmp_path):
    """It has a package ``harness``, a folder ``cases`` and tests of its own."""
    folder = tmp_path / "empty"
    (folder / "harness").mkdir()
    (folder / "harness" / "__init__.py").write_text("OWN = True\n")
    (folder / "harness" / "tools.py").write_text("def cases():\n    return ['milk', 'bread']\n")
    (folder / "cases").mkdir()
    (folder / "cases" / "shop.yaml").write_text("sizes: {batch: 2}\nbuy: [milk, bread]\n")
    (folder / "tests").mkdir()
    (folder / "tests" / "test_shop.py").write_text(
        "import sys\n"
        "import harness\n"
        "from harness.tools import cases\n"
        "def test_shop():\n"
        "    assert harness.OWN and cases() == ['milk', 'bread']\n"
        "    assert not {'numpy', 'yaml', 'pydantic', 'click', 'reference_impls'} & set(sys.modules)\n"
    )
    python = (
        "python",
        "-W",
        "error",
        "-m",
        "pytest",
        "-q",
        "--strict-markers",
        "--strict-config",
        "-p",
        "no:cacheprovider",
    )
    for arguments in ((), (".",), ("cases", "tests")):
        done = run(*python, *arguments)
        without = run(*python, "-p", "no:harness", *arguments)
        assert re.sub(r"in [\d.]+s", "", done.stdout) == re.sub(r"in [\d.]+s", "", without.stdout)
        assert "1 passed" in done.stdout
        assert done.stderr == ""


def test_a_project_that_lists_its_cases_has_them_tested(run, tmp_path):
    folder = tmp_path / "empty"
    run("harness", "new", "small")
    (folder / "pytest.ini").write_text("[pytest]\nharness_cases = cases\n")
    done = run("python", "-m", "pytest", "-q", "--harness-impl", "numpy-concat")
    assert "1 passed" in done.stdout
