"""An answer's key knows every source file that the answer was computed with."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.execution.cache.dependence import environment_of, reached_from, sources_of
from harness.execution.processes.answer_cache import OF_ANSWERS, OF_TRAINING, SOURCES, WORKER
from harness.implementations import implementations

ROOT = Path(__file__).parents[3]

ASKED = """\
import json, sys
sys.path.insert(0, sys.argv[1])
from harness.case import load
from harness.problem import build
from harness.implementations import implementations
before = set(sys.modules)
case = load([sys.argv[2]], implementations()).cases[0]
problem = build(case, None)
here = set(sys.modules)
{call}
print(json.dumps(sorted(m for m in set(sys.modules) - here if m.split(".")[0] in ("harness", "reference_impls"))))
"""

CALLS = {
    "rounding_noise": "from harness.training.noise import noise_of; noise_of(problem)",
    "floor": "from harness.precision.error_floor import from_intervals, from_wider_numbers\n"
    "from harness.problem.reference import solve\n"
    "from_wider_numbers(problem, solve(problem)); from_intervals(problem, solve(problem))",
    "explain": "from harness.diagnosis.recurrent import Explainer\n"
    "from harness.recurrences import recurrences\n"
    "Explainer(recurrences()['min_gru'].problem(), {}).explained({})",
}


def imported_by(call, case="cases/basic/dot.yaml"):
    done = subprocess.run(
        [sys.executable, "-c", ASKED.format(call=call), str(ROOT), str(ROOT / case)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", ["numpy-split", "numpy-concat", "complex-step", "closed-form"])
@pytest.mark.parametrize("training", [False, True], ids=["gradients", "training"])
def test_whatever_is_imported_while_an_implementation_runs_is_known(name, training):
    case = "cases/training/adam.yaml" if training else "cases/basic/dot.yaml"
    module = "harness.training" if training else "harness.result"
    run = (
        f"from {module} import run\nfrom harness.implementations import Unsupported\n"
        f"try: run(implementations()[{name!r}], problem)\nexcept Unsupported: pass"
    )
    own = implementations()[name].function.__module__
    known = reached_from([own, *(OF_TRAINING if training else OF_ANSWERS), *WORKER])
    assert imported_by(run, case) <= known.keys()
    assert own in known


@pytest.mark.parametrize("do", SOURCES)
def test_whatever_is_imported_for_what_the_harness_asks_is_known(do):
    # The source of a recurrence stands in the question itself.
    imported = {name for name in imported_by(CALLS[do]) if not name.startswith("harness.recurrences.")}
    assert imported <= reached_from([*SOURCES[do], *WORKER]).keys()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the packages, whose files can be changed."""
    import harness.execution.cache.dependence as dependence

    for package in ("harness", "reference_impls"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))

    class Spec:
        def __init__(self, top):
            self.submodule_search_locations = [str(tmp_path / top)]

    def forget():
        dependence._file_of.cache_clear()
        dependence._imported_by.cache_clear()

    monkeypatch.setattr(dependence.importlib.util, "find_spec", Spec)
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


OURS = [each.name for each in implementations().values() if each.function.__module__.startswith("harness.")]


def digests():
    there = implementations()
    return {name: sources_of([there[name].function.__module__, *OF_ANSWERS]) for name in OURS}


@pytest.mark.parametrize(
    ("file", "concerned"),
    [
        ("harness/implementations/keras_rnn.py", {"keras", "keras-go-backwards", "keras-repeated"}),
        ("harness/implementations/closed_form.py", {"closed-form"}),
        ("reference_impls/rnn_concatenated.py", {"numpy-concat"}),
        ("harness/precision/intervals/certification.py", {"certified"}),
        ("harness/execution/session/running.py", set()),
        ("harness/report/folder.py", set()),
        ("harness/layout/torch.py", set(OURS)),
        ("harness/problem/problem.py", set(OURS)),
    ],
)
def test_an_edit_is_an_edit_to_what_it_concerns(copied, file, concerned):
    before = digests()
    path = copied / file
    path.write_text(path.read_text() + "\n# another thought\n")
    after = digests()
    changed = {name for name in OURS if before[name] != after[name]}
    assert concerned <= changed
    if concerned != set(OURS):
        assert changed < set(OURS)
        assert "torch" not in changed


def test_what_a_computation_runs_on_is_in_its_key():
    one = environment_of(["numpy"], {"OMP_NUM_THREADS": "1"})
    assert one == environment_of(["numpy"], {"OMP_NUM_THREADS": "1"})
    assert one != environment_of(["numpy"], {"OMP_NUM_THREADS": "2"})
    assert one != environment_of(["numpy", "torch"], {"OMP_NUM_THREADS": "1"})
    import numpy

    assert f"numpy {numpy.__version__}" in one
