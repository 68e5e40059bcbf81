"""The trial: an implementation runs twice, each time on a fresh copy of the problem, and is watched; then it trains.

What a function returns is copied at once, so that nothing it does later can change what is compared. The second run
shows what the first cannot: state that was kept, answers that change, arrays that are written to again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from numpy import ndarray

from harness.candidate.trial.borrowing import Borrowing, watched
from harness.candidate.trial.dtypes import digits_kept, dtypes_kept, of_float32
from harness.candidate.trial.inputs import altered
from harness.candidate.trial.memory import changed_later, shared
from harness.candidate.trial.repetition import differences
from harness.implementations import Implementation, Unsupported
from harness.problem import Problem
from harness.result import Answer, Result, read, taken, values_of
from harness.result.remark import Remark
from harness.terminal.text import line_of
from harness.training import TrainingFailed, with_training


@dataclass(frozen=True, eq=False)
class _Call:
    """One call: its problem, the returned arrays, their copies from the moment of the return, and its result.

    ``narrow`` holds the arrays that were computed in float32.
    """

    given: Problem
    returned: Mapping[str, Any]
    copies: Mapping[str, ndarray]
    narrow: Mapping[str, ndarray]
    result: Result


def try_out(implementation: Implementation, problem: Problem, *, borrowing: bool = False) -> Answer:
    """Run an implementation twice, in this process, collect remarks, and train it if the case does.

    Args:
        implementation: the implementation.
        problem: the problem, in the split layout; it is not altered.
        borrowing: whether a call of the reference is worth a remark. The second call is watched for it, so the time of
            the first is its own; processes that either of them starts are watched from their beginning.

    Raises:
        Unsupported: if it cannot represent the problem.
        NotReadable: if what it returned is no mapping of arrays of real numbers.
        BaseException: whatever its first call raises.
    """
    if reason := implementation.reason_against(problem.case):
        raise Unsupported(reason)
    pristine = problem.in_layout(implementation.layout)
    borrowed = Borrowing()
    first = _called(implementation, pristine)
    behaviour = [
        *_without_gradients(first.result),
        *altered(pristine, first.given),
        *shared(first.returned, first.given),
        *dtypes_kept(first.copies, problem.case.dtype),
        *digits_kept(first.narrow),
    ]
    try:
        with watched(borrowed) if borrowing else nullcontext():
            again = _called(implementation, pristine)
    except (Exception, SystemExit) as error:  # whatever it is, the first call did not raise it
        crashed = Remark(
            "second call",
            f"the second call raised {line_of(error)}; the first did not, so state is kept from the first call",
        )
        called = borrowed.remarks() if borrowing else ()
        remarks = (crashed, *called, *changed_later(first.returned, first.copies), *behaviour)
        return Answer("error", first.result, "the second call", remarks=remarks, failure=error)
    differs = list(differences(first.result, again.result))
    called = borrowed.remarks() if borrowing else ()
    remarks = (*differs, *called, *changed_later(first.returned, first.copies), *behaviour)
    second = again.result if differs else None
    try:
        trained = with_training(implementation, problem, first.result)
    except TrainingFailed as failed:
        return Answer("error", failed.result, str(failed), second=second, remarks=remarks, failure=failed.error)
    return Answer("ok", trained, second=second, remarks=remarks)


def _without_gradients(result: Result) -> Iterator[Remark]:
    if not result.gradients:
        yield Remark("no gradient", "it returns no gradient, so its backward pass is not checked")


def _called(implementation: Implementation, pristine: Problem) -> _Call:
    given = pristine.handed()
    start = time.perf_counter()
    returned = implementation.function(given)
    seconds = time.perf_counter() - start
    held = taken(returned, implementation.layout, pristine)
    copies = {name: values_of(each) for name, each in held.arrays.items()}
    narrow = of_float32(held.arrays, pristine)
    judged = replace(held, arrays={**held.arrays, **narrow})
    result = read(judged, implementation.layout, pristine, seconds)
    return _Call(given, held.given, copies, narrow, result)
