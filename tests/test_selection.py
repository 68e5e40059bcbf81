"""Which ids ``make test`` takes, and that ``make quick`` imports no framework."""

import subprocess
import sys
from itertools import combinations, product

import pytest

from harness.implementations import implementations
from tests.conftest import NO_FRAMEWORKS, ROOT
from tests.selection import covering

FEATURES = {
    f"test[{cell}-{loss}-{dtype}]": [("cell", cell), ("loss", loss), ("dtype", dtype)]
    for cell, loss, dtype in product(("rnn", "lstm", "gru"), ("dot", "mean", "sum"), (32, 64))
}


@pytest.mark.parametrize(("strength", "most"), [(1, 4), (2, 12), (3, 18)])
def test_a_few_ids_have_all_values_or_all_pairs_of_them(strength, most):
    kept = covering(FEATURES, strength)
    assert kept <= FEATURES.keys()
    assert len(kept) <= most

    def parts(names):
        return {part for name in names for part in combinations(sorted(FEATURES[name]), strength)}

    assert parts(kept) == parts(FEATURES)


def test_the_choice_does_not_depend_on_the_order_of_the_ids():
    assert covering(dict(reversed(FEATURES.items())), 2) == covering(FEATURES, 2)


def test_an_id_without_parameters_is_kept_and_twins_are_not():
    assert covering({"test": []}, 2) == {"test"}
    assert len(covering({"test[a0]": [("x", "a")], "test[a1]": [("x", "a")]}, 2)) == 1


@pytest.mark.parametrize(
    "statement", ["import torch", "import_module('keras')", "run([executable, '-c', 'import jax'], check=True)"]
)
def test_a_quick_test_that_imports_a_framework_fails(statement):
    program = (
        f"from importlib import import_module; from subprocess import run; from sys import executable; {statement}"
    )
    environment = {"PYTHONPATH": str(NO_FRAMEWORKS)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "RuntimeError: a quick test imports" in done.stderr


def test_every_framework_is_refused_and_make_quick_has_the_folder_that_refuses():
    source = (NO_FRAMEWORKS / "sitecustomize.py").read_text()
    modules = {module for each in implementations().values() for module in each.framework.modules}
    for module in modules - {"numpy", "flint"}:
        assert f'"{module}"' in source
    quick = (ROOT / "Makefile").read_text().partition("\nquick:")[2].partition("\n\n")[0]
    assert f"PYTHONPATH={NO_FRAMEWORKS.relative_to(ROOT)}" in quick
