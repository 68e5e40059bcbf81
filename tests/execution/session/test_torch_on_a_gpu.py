"""``torch@cuda``: what becomes of it with and without a GPU. What needs one is skipped without."""

import json
from dataclasses import replace

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.comparison import ComparisonPolicy, compare
from harness.execution.processes import Workers
from harness.execution.session import not_here, not_installed
from harness.execution.session.answers import Standard
from harness.execution.session.running import judge_case
from harness.implementations import implementations
from harness.implementations.torch_cuda import NO_DRIVER, NO_GPU, TF32_EPS, absent
from harness.precision.tolerance import bound
from harness.problem import build
from harness.result import Answer, run

without_gpu = pytest.mark.skipif(not absent(), reason="a GPU is there")
with_gpu = pytest.mark.skipif(bool(absent()), reason=absent() or "a GPU is there")
CASE = ValidCase(
    name="gpu",
    file="gpu",
    cell="lstm",
    dtype="float32",
    sizes=Sizes(batch=3, time=5, input=4, hidden=6),
    weights={"uniform": [-0.4, 0.4], "seed": 1},
    inputs={"normal": 1.0, "seed": 2},
    initial_state={"normal": 0.5, "seed": 3},
    targets={"normal": 1.0, "seed": 4},
    loss=Loss(kind="squared_error"),
)


def on_a_machine(name, reason):
    """An implementation as it would be where the driver says this."""
    there = implementations()[name]
    return replace(there, framework=replace(there.framework, absent=lambda: reason))


def test_it_takes_part_by_itself_where_a_gpu_is_there_and_nowhere_else():
    assert on_a_machine("torch@cuda", "").takes_part_in(CASE)
    assert not on_a_machine("torch@cuda", NO_DRIVER).takes_part_in(CASE)
    named = replace(CASE, implementations=["torch@cuda"])
    assert on_a_machine("torch@cuda", NO_DRIVER).takes_part_in(named)


def test_tf32_takes_part_only_where_it_is_named():
    tf32 = on_a_machine("torch@cuda-tf32", "")
    assert not tf32.takes_part_in(CASE)
    assert tf32.takes_part_in(replace(CASE, implementations=["torch@cuda-tf32"]))
    assert "dtype is float64" in tf32.reason_against(replace(CASE, dtype="float64"))


@pytest.mark.framework("torch")
def test_a_run_that_does_not_name_it_says_nothing_and_one_that_does_is_told_why():
    absent_one = on_a_machine("torch@cuda", NO_DRIVER)
    assert not_installed([absent_one]) == []
    (line,) = not_here([absent_one])
    assert line.startswith(f"torch@cuda cannot run here: {NO_DRIVER}; ")
    assert not_here([on_a_machine("torch@cuda", "")]) == []


@without_gpu
def test_asked_for_by_name_it_ends_the_command_with_status_4(harness, workplace):
    ended = harness("run", "--impl", "torch@cuda")
    assert ended.returncode == 4
    assert NO_DRIVER in ended.stderr
    assert not (workplace / "reports").exists()


@without_gpu
def test_it_is_listed_with_the_reason(harness):
    listed = json.loads(harness("list", "implementations", "--json").stdout)
    ready = {each["name"]: each["ready"] for each in listed}
    assert ready["torch@cuda"] == ready["torch@cuda-tf32"] == NO_DRIVER
    assert ready["numpy-split"] == "yes"


@pytest.mark.framework
@without_gpu
def test_its_process_says_what_torch_says():
    with Workers() as workers:
        outcome = workers.run(implementations()["torch@cuda"], build(CASE, workers.native_weights))
    assert (outcome.status, outcome.reason) == ("unsupported", NO_GPU)


def test_bounds_grow_with_the_eps_of_the_products_and_only_in_the_dtype_that_has_more():
    expected = np.ones(3, np.float32)
    usual, coarse = bound("loss", expected, noise=3e-7), bound("loss", expected, noise=3e-7, eps=TF32_EPS)
    assert coarse.atol == 2**13 * usual.atol
    assert "8192 times that for products with eps 0.00098" in coarse.origin
    assert bound("loss", expected, {"rtol": 0.0, "atol": 1.0}, eps=TF32_EPS).atol == 1.0
    assert bound("loss", expected, eps=1e-20) == bound("loss", expected)


@pytest.mark.parametrize(("off", "verdict"), [(2.0**-10, "match"), (2.0**-5, "mismatch")])
def test_tf32_is_judged_by_its_own_tolerance_and_others_are_not(off, verdict):
    there = implementations()
    problem = build(CASE, None)
    expected = run(there["numpy-split"], problem)
    gradients = {name: each + np.float32(off) * np.abs(each).max() for name, each in expected.gradients.items()}
    answer = replace(expected, gradients=gradients)
    names = ("numpy-split", "torch", "torch@cuda-tf32")
    outcomes = {name: Answer("ok", expected if name == "numpy-split" else answer) for name in names}
    judged = judge_case(
        problem, [there[name] for name in names], outcomes, Standard.measured(problem, expected, {}, None), "failed"
    ).judged
    assert [each.verdict for each in judged] == [None, "mismatch", verdict]


@pytest.mark.framework
@with_gpu
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_on_a_gpu_it_agrees_with_the_reference(cell, dtype):
    lengths = {"lengths": [5, 2, 4], "bidirectional": True}
    case = replace(CASE, cell=cell, dtype=dtype, **lengths, **({"reset": "after"} if cell == "gru" else {}))
    with Workers() as workers:
        problem = build(case, workers.native_weights)
        outcome = workers.run(implementations()["torch@cuda"], problem)
    assert outcome.status == "ok", outcome.reason
    assert compare(outcome.result, run(implementations()["numpy-split"], problem)).matches


@pytest.mark.framework
@with_gpu
def test_on_a_gpu_tf32_is_on_in_the_variant_alone():
    case = replace(CASE, sizes=Sizes(batch=64, time=5, input=64, hidden=64))
    with Workers() as workers:
        problem = build(case, workers.native_weights)
        exact, coarse = (workers.run(implementations()[n], problem).result for n in ("torch@cuda", "torch@cuda-tf32"))
    expected = run(implementations()["numpy-split"], problem)
    assert compare(exact, expected).matches
    assert not compare(coarse, expected).matches
    assert compare(coarse, expected, ComparisonPolicy(eps=TF32_EPS)).matches
