"""The programs that the harness grew from, with every fault named; the page docs/wrong-programs.md shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import harness
from harness.diagnosis import UNEXPLAINED, Predictions
from harness.execution.session import diagnose_result
from harness.precision.rounding_noise import rounding_noise

PAGE = Path(__file__).parents[2] / "docs" / "wrong-programs.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files of the page."""
    where = tmp_path_factory.mktemp("programs")
    for name, text in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.S):
        (where / name).write_text(text + "\n", encoding="utf-8")
    return where


def program(folder, name):
    space: dict[str, object] = {}
    exec((folder / f"{name}.py").read_text(encoding="utf-8"), space)
    return space[name]


def explained(result, problem):
    found = diagnose_result(result, Predictions(problem, rounding_noise(problem)))
    assert UNEXPLAINED not in [each.fault for each in found], found
    return found[0]


@pytest.mark.slow
def test_four_faults_at_once_are_all_named(folder):
    problem = harness.load_case(folder / "sentence.yaml").problem()
    best = explained(harness.run(program(folder, "sentences"), problem), problem)
    assert set(best.fault.split(" + ")) == {
        "forward-activation-only",
        "slope-of-the-loss-step",
        "upstream-handed-on",
        "elementwise-for-outer",
    }
    assert set(best.tensors) == {"loss", "outputs", "layer0.W_xh", "layer0.W_hh", "readout.W_hy"}


def test_a_loss_of_a_sum_over_the_batch_and_a_bias_of_one_unit_are_both_named(folder):
    problem = harness.load_case(folder / "batch.yaml").problem()
    best = explained(harness.run(program(folder, "batches"), problem), problem)
    assert set(best.fault.split(" + ")) == {"loss-of-sum-over-batch", "broadcast"}


def test_three_faults_in_a_few_printed_numbers_are_all_named(folder):
    problem = harness.load_case(folder / "printed.yaml").problem()
    best = explained(harness.run("published", problem), problem)
    assert set(best.fault.split(" + ")) == {
        "carry-untransposed",
        "state-before-first-from-end",
        "accumulator-doubled",
    }
