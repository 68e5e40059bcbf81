"""The comparison of an implementation's tensors with the baseline's: names, shapes, dtypes, then every element."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy import ndarray

from harness.casefile import nearest
from harness.comparison import dtypes
from harness.comparison.metrics import Collect, Metrics, measure
from harness.comparison.verdict import SEVERITY, Verdict, of_metrics
from harness.implementations import Partial
from harness.precision import tolerance as tolerances
from harness.precision.tolerance import Bound
from harness.result import Result, checked, values_of
from harness.result.returned import array_of
from harness.tensors import Shape, shapes

if TYPE_CHECKING:
    from harness.case import ValidCase

DIGITS = "half a unit in the last known digit"
"""The beginning of the origin of a bound for printed digits."""

MOST_HINTS = 100
"""Maximum number of unknown names that get a hint."""


@dataclass(frozen=True, eq=False)
class TensorComparison:
    """One tensor of one implementation, compared.

    Attributes:
        tensor: its name.
        shape, dtype: the expected ones; of an unexpected tensor, its own.
        bound: the tolerance in force; None where there were no numbers to hold it against.
        metrics: the errors; None where names, shapes or dtypes keep the numbers from being compared.
        verdict: match, mismatch or error.
        reason: the reason for a mismatch, or a remark on a match.
        too_small: whether zeros would match, too, so that the match shows nothing.
    """

    tensor: str
    shape: Shape
    dtype: str
    bound: Bound | None
    metrics: Metrics | None
    verdict: Verdict
    reason: str
    too_small: bool = False

    @property
    def size(self) -> int:
        """The number of elements that the tensor should have."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def elements(self) -> int:
        """The number of compared elements; all, if names, shapes or dtypes prevented the comparison."""
        return self.metrics.elements if self.metrics is not None else self.size

    @property
    def failed(self) -> int:
        """The number of elements that are not known to be right."""
        return self.metrics.failed if self.metrics is not None else self.elements

    @property
    def worst_index(self) -> tuple[int, ...] | None:
        """The index of the element with the largest error ratio."""
        if self.metrics is None:
            return None
        return tuple(int(i) for i in np.unravel_index(self.metrics.worst, self.shape)) if self.shape else ()

    def __str__(self) -> str:
        if self.metrics is None or self.bound is None or self.verdict == "match":
            return f"{self.tensor}: {self.reason or 'match'}"
        m = self.metrics
        numbers = (m.actual, m.expected, m.allowed, m.error_ratio)
        return f"{self.tensor}: {self.reason}; {worst(self.worst_index or (), self.dtype, numbers, self.bound.origin)}"

    def written(self, value: float) -> str:
        """Return a value with the digits that distinguish it from its neighbours in the tensor's own dtype."""
        return written(value, self.dtype)


def written(value: float, dtype: str) -> str:
    """Return a value with the digits that distinguish it from its neighbours in a dtype."""
    return str(np.dtype(dtype).type(value))


def worst(index: tuple[int, ...], dtype: str, numbers: tuple[float, float, float, float], origin: str) -> str:
    """Return one line on a tensor's worst element.

    Args:
        index: of the element.
        dtype: of the tensor.
        numbers: the actual value, the expected one, the bound there, and the error ratio.
        origin: of the bound, in words.
    """
    actual, expected, allowed, error_ratio = numbers
    return (
        f"worst at [{', '.join(map(str, index))}]: actual {written(actual, dtype)}, expected "
        f"{written(expected, dtype)}, off by {abs(actual - expected):.3g}, allowed {allowed:.3g} ({origin}), "
        f"{error_ratio:.3g} times the bound"
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Everything that one implementation returned, compared with the baseline.

    Attributes:
        tensors: one comparison for each tensor, forward ones first.
        not_provided: tensors that were not returned and need not be; and of two biases that are one in the canonical
            layout the one that was not, by its own name.
        untrained: why those of training are among them; empty if they are not.
        case: the case that they belong to; None if it is unknown.
    """

    tensors: tuple[TensorComparison, ...]
    not_provided: tuple[str, ...] = ()
    untrained: str = ""
    case: ValidCase | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of any tensor."""
        return max((each.verdict for each in self.tensors), key=SEVERITY.index)

    @property
    def matches(self) -> bool:
        """True if every tensor matches."""
        return self.verdict == "match"

    @property
    def elements(self) -> int:
        """The number of elements that were compared, or should have been."""
        return sum(each.elements for each in self.tensors)

    @property
    def too_small(self) -> tuple[str, ...]:
        """The tensors that match as zeros would."""
        return tuple(each.tensor for each in self.tensors if each.too_small)

    @property
    def can_be_explained(self) -> bool:
        """True if a tensor has numbers that are wrong, or has them in a wrong shape."""
        return any(each.metrics is not None or each.bound is not None for each in self.disagreements)

    @property
    def disagreements(self) -> tuple[TensorComparison, ...]:
        """The tensors that do not match, the worst first; what comes first in the computation first among equals."""
        wrong = [each for each in self.tensors if each.verdict != "match"]
        return tuple(sorted(wrong, key=lambda each: (-SEVERITY.index(each.verdict), -_ratio_for_order(each))))

    def __repr__(self) -> str:
        return f"<Comparison: {str(self).splitlines()[0]}>"

    def _repr_html_(self) -> str:
        from harness.comparison.shown import html_of

        return html_of(self)

    def __str__(self) -> str:
        wrong = self.disagreements
        if not wrong:
            small = ", ".join(self.too_small)
            of_these = f"; {small}: {tolerances.TOO_SMALL}" if small else ""
            return f"match: {self.elements:,} elements of {len(self.tensors)} tensors{of_these}"
        wrong = tuple(sorted(wrong, key=lambda each: each.tensor not in FORWARD))
        return "\n".join([f"{self.verdict}: {len(wrong)} of {len(self.tensors)} tensors disagree", *map(str, wrong)])


FORWARD = ("outputs", "loss")
"""The tensors of the forward pass, on which all gradients depend."""


def _ratio_for_order(each: TensorComparison) -> float:
    if each.metrics is None or np.isnan(each.metrics.error_ratio):
        return np.inf
    return each.metrics.error_ratio


@dataclass(frozen=True, eq=False)
class ComparisonPolicy:
    """The settings of a comparison.

    Attributes:
        tolerance: ``{"rtol": …, "atol": …}``, or those by tensor; the table of ``harness.precision.tolerance`` if None.
        noise: the rounding noise of each tensor, absolute; its default tolerance grows with it.
        nonfinite: ``refused``, or ``allowed`` if the same NaN or infinity at the same place matches.
        complete: whether a tensor that is missing is a mismatch; if not, it is listed as not provided.
        required: tensors that must not be missing in either case.
        own_dtype: whether a tensor of another float dtype is judged in the narrower of the two, with a remark; if not,
            it is a mismatch.
        collect: which elements to keep one by one: ``failed``, ``all`` or ``none``.
        eps: of the arithmetic behind the actual result, where that is coarser than its dtype's; the default tolerance
            grows with it.
    """

    tolerance: Mapping[str, Any] | None = None
    noise: Mapping[str, float] | None = None
    nonfinite: str = "refused"
    complete: bool = True
    required: Collection[str] = ()
    own_dtype: bool = False
    collect: Collect = "failed"
    eps: float = 0.0


MISSING = "is missing"
"""The reason for a tensor that should have been returned."""

STRICT = ComparisonPolicy()
"""Every tensor, in its dtype, within the default tolerances."""


def compare(
    actual: Result | Mapping[str, Any], expected: Result | Mapping[str, Any], policy: ComparisonPolicy = STRICT
) -> Comparison:
    """Compare what an implementation returned with what it should have returned.

    Args:
        actual: a result, or arrays, lists, numbers or tensors of any framework by tensor.
        expected: the baseline's.
        policy: the settings.

    Returns:
        A comparison that holds each expected tensor and each unexpected one exactly once.

    Raises:
        ValueError: if nothing at all can be compared.
        NotReadable: if something is no array of real numbers.
    """
    wanted_in_part = _read(expected, {})
    wanted = wanted_in_part.tensors
    given_in_part = _read(actual, wanted)
    given = given_in_part.tensors
    known, half_units = _known(given_in_part, wanted_in_part), _half_units(given_in_part, wanted_in_part)
    optional = () if policy.complete else tuple(name for name in wanted if name not in policy.required)
    not_provided = tuple(name for name in optional if name not in given)
    compared = [
        _tensor(name, given.get(name), wanted[name], policy, known.get(name), half_units.get(name))
        for name in wanted
        if name not in not_provided
    ]
    compared += list(_unexpected(given, wanted, given_in_part.misfits))
    if policy.complete or policy.required:
        compared += list(_missing_parts(given, wanted, given_in_part.misfits))
    else:
        not_provided += tuple(name for name in given_in_part.misfits if name not in given)
    if not compared:
        raise ValueError("nothing was compared: no tensor was provided")
    return Comparison(tuple(compared), not_provided)


def _missing_parts(
    given: Mapping[str, ndarray], wanted: Mapping[str, ndarray], misfits: Mapping[str, str]
) -> Iterator[TensorComparison]:
    """Yield what a layout has beside the tensors that follow from its others, and what was not returned."""
    for name, reason in misfits.items():
        if name not in given:
            dtype = next(iter(wanted.values())).dtype.name
            yield TensorComparison(name, (), dtype, None, None, "mismatch", reason)


class _Read(NamedTuple):
    """A result, or a mapping that is one: arrays by tensor, and what is known of them in part."""

    tensors: Mapping[str, ndarray]
    known: Mapping[str, ndarray]
    half_units: Mapping[str, ndarray]
    misfits: Mapping[str, str]


def _read(given: Result | Mapping[str, Any], beside: Mapping[str, ndarray]) -> _Read:
    """Read what was given; Python's own numbers in the dtype of the tensor that they stand beside."""
    if isinstance(given, Result):
        return _Read(given.tensors, given.known, given.half_units, given.misfits)
    in_part = {name: checked(name, each) for name, each in given.items() if isinstance(each, Partial)}
    arrays = {name: values_of(each) for name, each in given.items()}
    tensors = {
        name: each
        if isinstance(each, ndarray)
        else array_of(name, each, beside[name].dtype if name in beside else None)
        for name, each in arrays.items()
    }
    known = {name: np.asarray(each.known) for name, each in in_part.items()}
    return _Read(tensors, known, {name: np.asarray(each.half_unit) for name, each in in_part.items()}, {})


def _tensor(
    name: str,
    actual: ndarray | None,
    expected: ndarray,
    policy: ComparisonPolicy,
    known: ndarray | None,
    half_unit: ndarray | None,
) -> TensorComparison:
    tolerance, noise = policy.tolerance, tolerances.noise_for(name, expected.shape, policy.noise)
    said, is_zero = "", not expected.any()
    if policy.own_dtype and actual is not None and actual.dtype.kind == expected.dtype.kind == "f":
        said = dtypes.judged_in(actual.dtype, expected.dtype)
        if dtypes.narrower(actual.dtype, expected.dtype) != expected.dtype:
            tolerance, noise = None, dtypes.noise_in(actual.dtype, noise, expected.dtype)
        actual, expected = dtypes.in_the_narrower(actual, expected)
    if actual is None:
        return TensorComparison(name, expected.shape, expected.dtype.name, None, None, "mismatch", MISSING)
    bound = tolerances.bound(name, expected, tolerance, noise=noise, eps=policy.eps)
    problem = ""
    if actual.shape != expected.shape:
        problem = shapes.mistake(actual.shape, expected.shape)
    elif actual.dtype != expected.dtype:
        problem = f"has dtype {actual.dtype}, but should have {expected.dtype}"
    elif known is not None and not known.any():
        problem = "has no element that is known to both sides"
    if problem:
        return TensorComparison(name, expected.shape, expected.dtype.name, bound, None, "mismatch", problem)
    which = slice(None) if known is None else np.flatnonzero(known)  # positions in the flattened tensor
    atol: float | ndarray = bound.atol if bound.by_element is None else bound.by_element[which]
    if half_unit is not None:
        atol = bound.atol + half_unit.reshape(-1)[which]
        bound = replace(bound, atol=float(atol.max()), origin=f"{DIGITS}, and {bound.origin}")
    metrics = measure(
        actual if known is None else actual.reshape(-1)[which],
        expected if known is None else expected.reshape(-1)[which],
        rtol=bound.rtol,
        atol=atol,
        nonfinite_allowed=policy.nonfinite == "allowed",
        collect=policy.collect,
    )
    verdict, reason = of_metrics(metrics)
    too_small = (
        verdict == "match" and not (is_zero or bound.ill_conditioned) and _zeros_match(expected, which, bound, atol)
    )
    if known is not None:
        metrics = metrics.at(np.flatnonzero(known))
        reason = "; ".join(filter(None, [reason, f"{metrics.elements:,} of {expected.size:,} elements compared"]))
    ill = tolerances.ILL_CONDITIONED if bound.ill_conditioned else ""
    reason = "; ".join(filter(None, [reason, said, ill, tolerances.TOO_SMALL if too_small else ""]))
    return TensorComparison(name, expected.shape, expected.dtype.name, bound, metrics, verdict, reason, too_small)


def _zeros_match(expected: ndarray, which: Any, bound: Bound, atol: float | ndarray) -> bool:
    """Return whether zeros would match what is expected, where that is compared."""
    if (1 - bound.rtol) * tolerances.largest_magnitude(expected.reshape(-1)[which]) > np.max(atol):
        return False  # for almost every tensor, and without a copy
    with np.errstate(over="ignore", invalid="ignore"):
        magnitudes = np.abs(expected.reshape(-1)[which].astype(np.float64))
        return bool((magnitudes <= atol + bound.rtol * magnitudes).all())


def _known(*results: _Read) -> dict[str, ndarray]:
    """Return which elements all results know, for each tensor that one of them knows in part."""
    known: dict[str, ndarray] = {}
    for result in results:
        for name, each in result.known.items():
            together = name in known and known[name].shape == each.shape
            known[name] = each & known[name] if together else each
    return known


def _half_units(*results: _Read) -> dict[str, ndarray]:
    """Return the absolute error of each element that the last known digits allow, over all results."""
    half_units: dict[str, ndarray] = {}
    for result in results:
        for name, each in result.half_units.items():
            together = name in half_units and half_units[name].shape == each.shape
            half_units[name] = half_units[name] + each if together else each
    return half_units


def _unexpected(
    given: Mapping[str, ndarray], wanted: Mapping[str, ndarray], misfits: Mapping[str, str]
) -> Iterator[TensorComparison]:
    missing = [each for each in wanted if each not in given]
    unknown = [name for name in given if name not in wanted]
    for number, name in enumerate(unknown):
        array, reason = given[name], misfits.get(name, "")
        if not reason:
            hint = nearest(name, missing) if number < MOST_HINTS else ""
            reason = f"of shape {array.shape} is no tensor of this case" + (f"; {hint}" if hint else "")
        yield TensorComparison(name, array.shape, array.dtype.name, None, None, "mismatch", reason)
