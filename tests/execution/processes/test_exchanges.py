"""Questions and answers from another machine are replayed as they were."""

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.execution.cache import Store
from harness.execution.processes import AnswerCache, WorkerFailed, Workers
from harness.execution.processes.exchanges import (
    Exchange,
    ExchangeRecorder,
    FromCache,
    NotCached,
    Place,
    Replayed,
    of_exchanges,
    to_exchanges,
)
from harness.execution.processes.fingerprint import differences, fingerprint
from harness.execution.processes.transport import decoded, described
from harness.implementations import NUMPY, implementations
from harness.problem import build

THERE = Place({"numpy": "there"}, {"numpy": {"numpy": "2"}}, {"numpy": 0.5})


def case_of():
    return ValidCase(
        name="small", file="small", sizes=Sizes(1, 3, 2, 4), weights={"normal": 1.0, "seed": 1},
        loss=Loss(kind="dot"), upstream="ones",
    )  # fmt: skip


@pytest.fixture(scope="module")
def exchanges():
    with Workers() as workers:
        recording = ExchangeRecorder(workers)
        recording.run(implementations()["numpy-split"], build(case_of(), None))
        recording.rounding_noise(build(case_of(), None))
    return recording.exchanges


def sent(exchanges):
    start, buffers = described(*of_exchanges(exchanges))
    return to_exchanges(decoded(memoryview(b"".join([start, *buffers]))))


def test_answers_arrive_to_the_bit(exchanges):
    for there, here in zip(exchanges, sent(exchanges), strict=True):
        assert (here.question, here.framework, here.answer.header) == (
            there.question, there.framework, dict(there.answer.header),
        )  # fmt: skip
        assert here.answer.arrays.keys() == there.answer.arrays.keys()
        for name, array in there.answer.arrays.items():
            np.testing.assert_array_equal(here.answer.arrays[name], array)
    assert [len(each.answer.arrays) > 0 for each in exchanges] == [True, False]


def test_failures_arrive_whole():
    failure = WorkerFailed("it broke", "here", "said", timed_out=True)
    (arrived,) = sent([Exchange("q", "numpy", failure=failure)])
    assert arrived.answer is None
    assert vars(arrived.failure) == vars(failure)


def test_what_was_told_is_cached_for_machines_like_that(exchanges, tmp_path):
    cache, problem, reference = (
        AnswerCache(store=Store(tmp_path)),
        build(case_of(), None),
        implementations()["numpy-split"],
    )
    told = Replayed(sent(exchanges), THERE, cache).run(reference, problem)
    from_cache = FromCache(cache, [{"numpy": "elsewhere"}, {"numpy": "there"}])
    again = from_cache.run(reference, problem)
    assert again.result.seconds == told.result.seconds
    assert from_cache.cached["numpy"].versions == {"numpy": "2"}
    for places in ([], [{"numpy": "elsewhere"}]):
        with pytest.raises(NotCached):
            FromCache(cache, places).run(reference, problem)
    with pytest.raises(KeyError):
        Replayed(sent(exchanges)[1:], THERE, cache).run(reference, problem)


def test_what_must_be_alike_is_named():
    own = fingerprint([NUMPY.name])
    assert differences(own, fingerprint([NUMPY.name])) == []
    other = {**own, "harness": "9 (source 0)", "modules": {**own["modules"], "numpy": "1.0"}}
    assert differences(own, other) == [
        f"bptt-harness is 9 (source 0), but should be {own['harness']}",
        f"numpy is 1.0, but should be {own['modules']['numpy']}",
    ]
    assert differences(own, {**own, "machine": {**own["machine"], "processor": "another"}}) == []
