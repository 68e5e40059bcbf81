"""A question is asked once and keeps its answer; anything that changes the answer changes the question."""

from dataclasses import replace

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.cache import Store
from harness.execution.processes import AnswerCache, Workers
from harness.execution.processes.process import WorkerProcess
from harness.implementations import NUMPY, Framework, Implementation, implementations
from harness.problem import build

SPLIT = implementations()["numpy-split"]


def problem_of(**changes):
    case = ValidCase(
        name="small",
        file="small.yaml",
        sizes=Sizes(batch=2, time=3, input=4, hidden=5),
        weights={"uniform": (-0.9, 0.9), "seed": 1},
        inputs={"normal": 1.0, "seed": 2},
        loss=Loss(kind="dot"),
        upstream={"normal": 1.0, "seed": 4},
    )
    return build(replace(case, **changes), None)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def no_process(monkeypatch):
    def refuse(*_):
        raise AssertionError("a process was started")

    return lambda: monkeypatch.setattr(WorkerProcess, "__init__", refuse)


def same(one, other):
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == other.tensors[name].dtype
        assert tensor.tobytes() == other.tensors[name].tobytes()
    return True


def test_what_was_answered_starts_no_process_and_is_the_same(store, no_process):
    problem = problem_of()
    with Workers(AnswerCache(store=store)) as workers:
        first = workers.run(SPLIT, problem)
        noise = workers.rounding_noise(problem)
        floor = workers.floor(problem, first.result.tensors)
        versions, seconds = workers.versions(), workers.seconds_to_import()
        assert workers.cached == 0
    no_process()
    with Workers(AnswerCache(store=store)) as workers:
        workers.start([NUMPY])
        again = workers.run(SPLIT, problem)
        assert same(first.result, again.result)
        assert again.result.seconds == first.result.seconds
        assert workers.rounding_noise(problem) == noise
        told = workers.floor(problem, first.result.tensors)
        assert (told.source, told.rounding) == (floor.source, floor.rounding)
        assert (workers.versions(), workers.seconds_to_import()) == (versions, seconds)
        assert workers.cached == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "float32"},
        {"activation": "relu"},
        {"inputs": {"normal": 1.0, "seed": 3}},
        {"upstream": {"normal": 1.0, "seed": 5}},
        {"truncation": {"kind": "detach", "every": 2}},
        {"lengths": (3, 2)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_problem_is_another_question(store, changes):
    key = AnswerCache(store=store).key
    header = {"do": "run", "implementation": "numpy-split"}
    from harness.execution.processes.messages import of_problem

    def of(problem):
        asked, arrays = of_problem(problem)
        return key(NUMPY, {**header, **asked}, arrays)

    assert of(problem_of()) == of(problem_of())
    assert of(problem_of()) != of(problem_of(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"name": "other"}, {"about": "Another word."}, {"tolerance": {"rtol": 1.0}}, {"expect": "mismatch"}],
    ids=lambda changes: next(iter(changes)),
)
def test_how_a_case_is_named_and_judged_is_none_of_it(store, no_process, changes):
    with Workers(AnswerCache(store=store)) as workers:
        first = workers.run(SPLIT, problem_of())
    no_process()
    with Workers(AnswerCache(store=store)) as workers:
        assert same(first.result, workers.run(SPLIT, problem_of(**changes)).result)


def test_a_weight_that_differs_in_its_last_bit_is_another_question(store):
    problem = problem_of()
    weights = {name: array.copy() for name, array in problem.weights.items()}
    weights["layer0.W_hh"][0, 0] = np.nextafter(weights["layer0.W_hh"][0, 0], 2)
    with Workers(AnswerCache(store=store)) as workers:
        workers.run(SPLIT, problem)
        workers.run(SPLIT, replace(problem, weights=weights))
        assert workers.cached == 0


def test_errors_are_not_cached(store, no_process):
    problem = problem_of()
    broken = replace(problem, weights={**problem.weights, "layer0.W_hh": problem.weights["layer0.W_xh"]})
    with Workers(AnswerCache(store=store)) as workers:
        assert workers.run(SPLIT, broken).status == "error"
    with Workers(AnswerCache(store=store)) as workers:
        assert workers.run(SPLIT, broken).status == "error"
        assert workers.cached == 0


def test_what_others_offer_is_never_cached(store):
    cache = AnswerCache(store=store)
    header = {"do": "run", "implementation": "numpy-split", "case": problem_of().case.to_plain()}
    assert cache.key(NUMPY, header, {})
    users = Framework("my_rnn.py", (), install="", program=("-m", "harness.execution.processes.user_file"))
    assert cache.key(users, header, {}) == ""


def test_a_package_that_offers_an_implementation_is_asked_each_time(store, monkeypatch):
    def elsewhere(problem):
        raise NotImplementedError

    elsewhere.__module__ = "a_package.kernels"
    offered = Implementation("kernel", "split", elsewhere, NUMPY)
    known = {**implementations(), "kernel": offered}
    monkeypatch.setattr("harness.execution.processes.answer_cache.implementation_named", known.get)
    header = {"do": "run", "implementation": "kernel", "case": problem_of().case.to_plain()}
    assert AnswerCache(store=store).key(NUMPY, header, {}) == ""


def test_a_damaged_answer_is_asked_for_again(store):
    problem = problem_of()
    with Workers(AnswerCache(store=store)) as workers:
        first = workers.run(SPLIT, problem)
    for path in store.folder.rglob("*"):
        if path.is_file():
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 0xFF
            path.write_bytes(content)
    with Workers(AnswerCache(store=store)) as workers:
        assert same(first.result, workers.run(SPLIT, problem).result)
        assert workers.cached == 0
    with Workers(AnswerCache(store=store)) as workers:
        workers.run(SPLIT, problem)
        assert workers.cached == 1


def test_what_another_run_was_answered_is_asked_anew(tmp_path):
    problem = problem_of()
    with Workers(AnswerCache(store=Store(tmp_path))) as workers:
        workers.run(SPLIT, problem)
    with Workers(AnswerCache(store=Store(tmp_path, own_alone=True))) as workers:
        workers.run(SPLIT, problem)
        assert workers.cached == 0
