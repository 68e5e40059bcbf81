"""The sdist and the wheel hold every file that they need."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

OURS = ("harness/", "reference_impls/", "bptt_harness_plugin/")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the sdist and the wheel of this tree, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def in_sdist(built: Path) -> dict[str, tarfile.TarInfo]:
    """Return the members of the sdist by their path below its one folder."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2]: member for member in archive if member.isfile()}


@pytest.fixture(scope="module")
def in_wheel(built: Path) -> set[str]:
    """Return the paths in the wheel."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def tracked() -> dict[str, Path]:
    """Return the files that git tracks, by their path in the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("this tree is no clone, so git tracks no file of it")
    git = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(git, capture_output=True, text=True, timeout=60, check=True).stdout.split("\0")
    files = {name: ROOT / name for name in listed if name and (ROOT / name).is_file()}
    assert len(files) > 500
    return files


def test_the_sdist_has_every_tracked_file(in_sdist, tracked):
    assert not tracked.keys() - in_sdist.keys()


def test_scripts_in_the_sdist_can_be_executed(in_sdist, tracked):
    executable = {name for name, path in tracked.items() if path.stat().st_mode & 0o100}
    assert ".ci/run" in executable
    assert executable == {name for name, member in in_sdist.items() if member.mode & 0o100}


def test_the_sdist_has_the_inputs_of_make(in_sdist):
    assert {
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
        "constraints-lowest.txt",
        "case.schema.json",
        "reports/baseline/manifest.json",
        "cases/basic/tanh.yaml",
        ".ci/run",
        ".gitignore",
    } <= in_sdist.keys()


def test_the_sdist_has_nothing_of_git_and_nothing_that_was_made(in_sdist):
    made = {"__pycache__", ".venv", ".venv-lowest", ".git", "_build", "latest"}
    assert not [name for name in in_sdist if made & set(Path(name).parts)]


def test_the_wheel_has_every_file_of_the_packages(in_wheel, in_sdist):
    assert not {name for name in in_sdist if name.startswith(OURS)} - in_wheel
    assert {"harness/candidate/templates/my_rnn.py", "harness/py.typed"} <= in_wheel


def test_the_wheel_has_the_library_of_cases(in_wheel, tracked):
    library = {f"harness/{name}" for name in tracked if name.startswith("cases/")}
    assert len(library) > 50
    assert library == {name for name in in_wheel if name.startswith("harness/cases/")}


def test_the_wheel_has_the_packages_alone(in_wheel):
    assert {name.partition("/")[0] for name in in_wheel if ".dist-info/" not in name} == {each[:-1] for each in OURS}


def test_the_wheel_has_the_fault_gallery(in_wheel, tracked):
    gallery = {name.replace("docs/faults/", "harness/gallery/") for name in tracked if name.startswith("docs/faults/")}
    assert len(gallery) > 200
    assert not gallery - in_wheel
