"""pandas and matplotlib are imported by what uses them, and by nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LATER = {"pandas", "matplotlib"}
COMMAND = "from harness.cli import main\ntry: main({})\nexcept SystemExit as ended: assert ended.code in {}, ended.code"
EVERY_MODULE = """
import harness, importlib, pkgutil
for module in pkgutil.walk_packages(harness.__path__, "harness."):
    of_framework = module.name == "harness.torch" or module.name.startswith("harness.derive.namespaces.")
    if not of_framework or module.name.endswith(".numpy"):
        importlib.import_module(module.name)  # the others are imported where their framework is there
"""


def imported(code: str, folder: Path) -> set[str]:
    """Return which of the slow packages a fresh process has imported after some code."""
    code += f"\nimport sys\nsys.stderr.write(' '.join(sorted({LATER} & sys.modules.keys())))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=True)
    return set(done.stderr.rpartition("\n")[2].split())


@pytest.mark.parametrize("package", sorted(LATER))
def test_an_import_of_either_is_found(package, tmp_path):
    assert package in imported(f"import {package}", tmp_path)


def test_importing_any_module_of_the_harness_imports_neither(tmp_path):
    assert imported(EVERY_MODULE, tmp_path) == set()


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_checking_a_file_imports_neither(right, tmp_path):
    rnn = (ROOT / "harness" / "candidate" / "templates" / "my_rnn.py").read_text()
    assert "d_a @ W_hh.T" in rnn
    (tmp_path / "my_rnn.py").write_text(rnn if right else rnn.replace("d_a @ W_hh.T", "d_a @ W_hh"))
    arguments = ["check", "my_rnn.py", str(ROOT / "cases" / "basic" / "activations.yaml")]
    assert imported(COMMAND.format(arguments, [0 if right else 1]), tmp_path) == set()


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list", "cases"], ["list", "faults"], ["list", "implementations"], ["validate", "cases/basic"]],
    ids=" ".join,
)
def test_looking_things_up_imports_neither(arguments):
    assert imported(COMMAND.format(arguments, [0]), ROOT) == set()
