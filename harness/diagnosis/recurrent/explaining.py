"""An explanation of wrong gradients of a recurrence, from its step alone.

Every tensor counts by itself. A rule explains the tensors that it gives to the last digit. Tensors that it changes
without giving them need a second rule, sought with the first one broken. Tensors that no rule gives may have a fault of
one tensor alone. All others are reported as unexplained.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy import ndarray

from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.finite import where_not_finite
from harness.diagnosis.precision import lower_precision
from harness.diagnosis.recurrent.alone import Parts, changes_of, faults_of
from harness.diagnosis.recurrent.further import further
from harness.diagnosis.recurrent.naming import Names
from harness.diagnosis.recurrent.predicting import predicted, predicted_at_the_end
from harness.diagnosis.recurrent.rules import Rule, rules
from harness.diagnosis.recurrent.tracks import taped
from harness.problem import Problem
from harness.tensors import is_gradient, shapes

UNITS = 16.0
"""Units of rounding noise, or of eps times the largest element, within which numbers are the same."""

MOST_PEELED = 12
"""Maximum of single rules that are tried as the first of two."""

MOST_SHOWN = 4
"""Maximum of explanations that fit alike and are shown."""


MOST_STEPS_BACK = 2
"""Minimum number of steps of a sequence with less evidence in its last step than in all of it."""

MOST_SCREENED = 60_000
"""Maximum of pairs that are tried at the last step."""

MOST_PAIRS = 4_000
"""Maximum of pairs that are tried over the whole sequence."""

MOST_NUMBERS = 6e7
"""Maximum of numbers of the passes with each rule broken, in all nodes: about a second."""

MOST_NUMBERS_OF_PAIRS = 1.2e8
"""Maximum of numbers of the passes with two rules broken in a network."""

CHUNK = 400


@dataclass(frozen=True, eq=False)
class _Broken:
    """Rules, and the gradients that a pass gives with each of them broken by itself, (R, …) by name."""

    rules: list[Rule]
    given: Mapping[str, ndarray]


_Ends = tuple[list[tuple[list[int], list[int]]], ndarray]
"""Pairs of groups of rules, and the gradients of the inputs at the last step under each pair, (R, elements)."""


class Explainer:
    """Explains answers to one problem; what the rules would give is computed once.

    Args:
        problem: the problem, of a recurrence alone or of a network.
        noise: the change by rounding alone of each tensor, absolute.

    Attributes:
        problem: the problem.
        taped: the problem on a tape, in float64.
        right: the right tensors, by name.
    """

    def __init__(self, problem: Problem, noise: Mapping[str, float]) -> None:
        self.problem = problem
        self._noise = noise
        with np.errstate(all="ignore"):  # an overflow is judged in the comparison
            self.taped = taped(problem.as_dtype(np.float64).calculation)
            self._parts = Parts(self.taped)
        self._known: dict[int, Mapping[str, ndarray]] = {}
        self._known_ends: dict[tuple[str, tuple[str, ...]], _Ends] = {}
        self.right = {**self.taped.answers, **self._parts.right}

    @cached_property
    def _plain(self) -> _Broken:
        """The plain rules; those of some layers alone only if all can be tried."""
        return self._broken(self._affordable(rules(self.taped)))

    @cached_property
    def _all(self) -> _Broken:
        """The plain rules, and those that are tried where no plain one explains an answer."""
        more = self._broken(self._affordable(further(self.taped)))
        given = {name: np.concatenate([each, more.given[name]]) for name, each in self._plain.given.items()}
        return _Broken([*self._plain.rules, *more.rules], given)

    @property
    def is_small(self) -> bool:
        """Return whether the plain rules of all layers at once can be tried."""
        return len(self._groups[0]) * self.taped.size <= MOST_NUMBERS

    def _affordable(self, there: list[Rule]) -> list[Rule]:
        if len(self.taped.tracks) == 1 or len(there) * self.taped.size <= MOST_NUMBERS:
            return there
        return [each for each in there if not each.is_of_some]

    @cached_property
    def _words(self) -> list[Names]:
        return [Names(track) for track in self.taped.tracks]

    def _broken(self, there: list[Rule]) -> _Broken:
        return _Broken(there, predicted(self.taped, [[rule] for rule in there]))

    @np.errstate(all="ignore")  # a rule may divide by zero; its numbers then explain nothing
    def explained(self, actual: Mapping[str, ndarray], matching: Sequence[str] = ()) -> list[Diagnosis]:
        """Return the explanations of an answer, the best first; nothing if nothing is wrong.

        Args:
            actual: the returned tensors, by name.
            matching: names of tensors that were judged to match.
        """
        found = [self._misshapen(name, array) for name, array in actual.items() if name in self.right]
        at_once = [each for each in found if each is not None]
        usable = {
            name: np.asarray(array, np.float64)
            for name, array in actual.items()
            if name in self.right and np.shape(array) == self.right[name].shape
        }
        wrong = {
            name: ~np.isfinite(array) & np.isfinite(self.right[name])
            for name, array in usable.items()
            if name not in matching
        }
        if places := {name: where for name, where in wrong.items() if where.any()}:
            at_once.append(where_not_finite(usable, places))
            usable = {name: array for name, array in usable.items() if name not in places}
        off = [name for name in usable if name not in matching and not self._same(name, usable[name], self.right[name])]
        if not off:
            return at_once
        worst = max(self._residual(name, usable[name], self.right[name]) for name in off)
        if text := lower_precision([usable[name] for name in off], worst, self.problem.case.dtype):
            residuals = {name: self._residual(name, usable[name], self.right[name]) for name in off}
            return [*at_once, Diagnosis("lower-precision", text, residuals)]
        forward = [name for name in off if not is_gradient(name)]
        if forward:
            return [*at_once, self._forward(forward, off)]
        return [*at_once, *self._backward(usable, off)]

    def singly(self, off: Sequence[str]) -> Iterator[tuple[list[Rule], Mapping[str, ndarray]]]:
        """Yield rules, and the gradients that each gives by itself: of all layers at once, then those of some alone.

        Args:
            off: the wrong tensors.
        """
        for group in self._groups if all(is_gradient(name) for name in off) else ():
            if len(group) * self.taped.size <= MOST_NUMBERS:
                key = id(group)
                if key not in self._known:
                    self._known[key] = self._broken(group).given
                yield group, self._known[key]

    @cached_property
    def _groups(self) -> list[list[Rule]]:
        there = rules(self.taped)
        groups = ([each for each in there if each.is_of_some is of_some] for of_some in (False, True))
        return [group for group in groups if group]

    @np.errstate(all="ignore")
    def shown(self) -> dict[str, bool]:
        """Return for each plain rule, in a sentence, whether breaking it changes a gradient by more than rounding."""
        gradients = [name for name in self.right if is_gradient(name)]
        shows = np.asarray(self._changes(self._plain.given, gradients).any(1))
        found: dict[str, bool] = {}
        for rule, shown in zip(self._plain.rules, shows.tolist(), strict=True):
            text = self._sentence(rule.text)
            found[text] = shown or found.get(text, False)
        return found

    def _same(self, name: str, one: ndarray, other: ndarray) -> bool:
        return bool((np.abs(one - other) <= self._bound(name, one)).all())

    def _bound(self, name: str, actual: ndarray) -> float:
        """Return how far apart equal numbers may be: what rounding does to the right ones, more if they are larger."""
        largest = float(np.abs(self.right[name]).max(initial=0.0))
        grown = max(1.0, float(np.abs(actual).max(initial=0.0)) / largest) if largest else 1.0
        eps = float(np.finfo(self.problem.case.dtype).eps)
        return grown * UNITS * max(eps * largest, self._noise.get(name, 0.0), 1e-300)

    def _residual(self, name: str, one: ndarray, other: ndarray) -> float:
        largest = max(float(np.abs(self.right[name]).max(initial=0.0)), 1e-300)
        return float(np.abs(one - other).max(initial=0.0)) / largest

    def _misshapen(self, name: str, array: ndarray) -> Diagnosis | None:
        right = self.right[name]
        if np.shape(array) == right.shape:
            return None
        text = f"{name}: {shapes.mistake(np.shape(array), right.shape)}"
        return Diagnosis("wrong-shape", text, {name: float("nan")})

    def _forward(self, forward: Sequence[str], off: Sequence[str]) -> Diagnosis:
        text = f"the forward pass computes something else: {', '.join(forward)} differ; compare it with the step first"
        residuals = dict.fromkeys(off, float("nan"))
        return Diagnosis(UNEXPLAINED, text, residuals, start=text)

    def _backward(self, actual: Mapping[str, ndarray], off: Sequence[str]) -> list[Diagnosis]:
        gradients = [name for name in actual if is_gradient(name)]
        rows = np.flatnonzero(self._fits(self._plain.given, actual, gradients).all(1))
        if rows.size:
            return self._diagnosed([[self._plain.rules[r]] for r in rows], rows, self._plain.given, actual, off)
        alone = {name: self._alone(name, actual[name]) for name in off}
        if len(off) == 1 and alone[off[0]] is not None:
            return [each for each in alone.values() if each is not None]
        fits = self._fits(self._all.given, actual, gradients)
        changes = self._changes(self._all.given, gradients)
        rows = np.flatnonzero(fits.all(1))
        if rows.size:
            return self._diagnosed([[self._all.rules[r]] for r in rows], rows, self._all.given, actual, off)
        if pairs := self._pairs(actual, gradients, off, fits, changes):
            return pairs
        if pairs := self._with_change(actual, gradients, off, fits, changes):
            return pairs
        if pairs := self._screened_pairs(actual, gradients, off, changes):
            return pairs
        return self._each_its_own(actual, gradients, off, fits, changes, alone)

    def _fits(self, given: Mapping[str, ndarray], actual: Mapping[str, ndarray], names: Sequence[str]) -> ndarray:
        """Return which rows give which tensors, (R, tensors) of bool."""
        columns = []
        for name in names:
            apart = np.abs(given[name] - actual[name]).reshape(len(given[name]), -1)
            columns.append((apart <= self._bound(name, actual[name])).all(1))
        return np.stack(columns, 1)

    def _changes(self, given: Mapping[str, ndarray], names: Sequence[str]) -> ndarray:
        """Return which rows change which tensors, (R, tensors) of bool."""
        return ~self._fits(given, self.right, names)

    def _diagnosed(
        self,
        combinations: Sequence[Sequence[Rule]],
        at: Iterable[int],
        given: Mapping[str, ndarray],
        actual: Mapping[str, ndarray],
        off: Sequence[str],
    ) -> list[Diagnosis]:
        """Return a diagnosis for each combination of rules, of which ``given`` has a row at each of ``at``."""
        found: dict[str, Diagnosis] = {}
        for chosen, i in zip(combinations, at, strict=True):
            residuals = {name: self._residual(name, given[name][i], actual[name]) for name in off}
            text = "; and ".join(rule.text for rule in chosen)
            found.setdefault(
                text, Diagnosis(" + ".join(rule.fault for rule in chosen), self._sentence(text), residuals)
            )
        return list(found.values())[:MOST_SHOWN]

    def _pairs(
        self,
        actual: Mapping[str, ndarray],
        gradients: Sequence[str],
        off: Sequence[str],
        fits: ndarray,
        changes: ndarray,
    ) -> list[Diagnosis]:
        """Return pairs of rules that explain everything: a first that explains a tensor, then one with it broken."""
        explaining = (fits & changes).sum(1)
        order = [r for r in np.argsort(-explaining, kind="stable") if explaining[r]]
        seconds = [rule for rule in self._all.rules if not rule.is_of_some]
        most = MOST_PEELED
        if len(self.taped.tracks) > 1:
            most = min(most, int(MOST_NUMBERS_OF_PAIRS / (len(seconds) * self.taped.size)))
        seen: set[bytes] = set()
        for r in order:
            key = b"".join(np.round(self._all.given[name][r], 12).tobytes() for name in gradients)
            if key in seen or len(seen) >= most:
                continue
            seen.add(key)
            both = [[self._all.rules[r], rule] for rule in seconds]
            if found := self._explaining_all(both, actual, gradients, off):
                return found
        return []

    def _with_change(
        self,
        actual: Mapping[str, ndarray],
        gradients: Sequence[str],
        off: Sequence[str],
        fits: ndarray,
        changes: ndarray,
    ) -> list[Diagnosis]:
        """Return a rule that explains most tensors, with a change as a whole of each of the others."""
        explaining = (fits & changes).sum(1)
        for r in np.argsort(-explaining, kind="stable")[:MOST_PEELED]:
            left = [name for i, name in enumerate(gradients) if not fits[r, i]]
            if explaining[r] <= len(left):
                break
            own: list[tuple[str, str, ndarray]] = []
            for name in left:
                given = self._all.given[name][r]
                fitting = (
                    each
                    for each in changes_of(name, actual[name], given, self.taped)
                    if self._same(name, actual[name], each[2])
                )
                own += [each for each in [next(fitting, None)] if each is not None]
            if len(own) == len(left):
                fault = " + ".join([self._all.rules[r].fault, *(each[0] for each in own)])
                text = "; and ".join([self._all.rules[r].text, *(each[1] for each in own)])
                given_by = {name: self._all.given[name][r] for name in off}
                given_by |= dict(zip(left, [each[2] for each in own], strict=True))
                residuals = {name: self._residual(name, given_by[name], actual[name]) for name in off}
                return [Diagnosis(fault, self._sentence(text), residuals)]
        return []

    def _screened_pairs(
        self, actual: Mapping[str, ndarray], gradients: Sequence[str], off: Sequence[str], changes: ndarray
    ) -> list[Diagnosis]:
        """Return pairs that explain everything, sought at the last step: there the way back begins.

        The gradient of an input at the last step needs one step of a pass, so that all pairs can be tried. Rules that
        are alike there stand for each other; those that fit are then tried over the whole sequence. A wrong tensor is
        changed by one rule or both, a right one by none.
        """
        wrong = np.array([name in off for name in gradients])
        usable = ~(changes & ~wrong).any(1)
        inputs = [name for name, each in self.taped.graph.sources.items() if isinstance(each, list) and name in actual]
        if not inputs or self.taped.steps < MOST_STEPS_BACK or not self.taped.is_one_way:
            return []
        seen = np.concatenate([actual[name][:, -1].reshape(-1) for name in inputs])
        bound = max(self._bound(name, actual[name]) for name in inputs)
        for firsts, found in self._ends(tuple(inputs)):
            fitting = np.flatnonzero((np.abs(found - seen) <= bound).all(1))
            pairs = [
                (r, s)
                for each in fitting
                for r in firsts[each][0]
                if usable[r]
                for s in firsts[each][1]
                if r < s and usable[s] and (changes[r] | changes[s])[wrong].all()
            ]
            if explained := self._tried(pairs, actual, gradients, off):
                return explained
        return []

    def _ends(self, inputs: tuple[str, ...]) -> Iterator[_Ends]:
        """Yield pairs of groups of rules, with what each pair gives at the last step; computed once."""
        plain = self._alike_at_the_end(0, len(self._plain.rules), inputs)
        others = self._alike_at_the_end(len(self._plain.rules), len(self._all.rules), inputs)
        for kind, firsts in (
            ("plain", [(one, other) for i, one in enumerate(plain) for other in plain[i:]]),
            ("further", [(one, other) for one in plain for other in others]),
        ):
            if len(firsts) <= MOST_SCREENED and (kind, inputs) not in self._known_ends:
                both = [[self._all.rules[one[0]], self._all.rules[other[0]]] for one, other in firsts]
                given = predicted_at_the_end(self.taped, both, inputs)
                self._known_ends[kind, inputs] = firsts, given
            if (kind, inputs) in self._known_ends:
                yield self._known_ends[kind, inputs]

    def _alike_at_the_end(self, start: int, stop: int, inputs: Sequence[str]) -> list[list[int]]:
        """Return groups of rules that give the same at the last step."""
        at = [r for r in range(start, stop) if not self._all.rules[r].is_of_some]
        given = predicted_at_the_end(self.taped, [[self._all.rules[r]] for r in at], inputs)
        groups: dict[bytes, list[int]] = {}
        for r, row in zip(at, np.round(given, 10), strict=True):
            groups.setdefault(row.tobytes(), []).append(r)
        return list(groups.values())

    def _tried(
        self,
        pairs: Sequence[tuple[int, int]],
        actual: Mapping[str, ndarray],
        gradients: Sequence[str],
        off: Sequence[str],
    ) -> list[Diagnosis]:
        """Return those of some pairs that explain everything; a few at a time."""
        for start in range(0, min(len(pairs), MOST_PAIRS), CHUNK):
            both = [[self._all.rules[r], self._all.rules[s]] for r, s in pairs[start : start + CHUNK]]
            if found := self._explaining_all(both, actual, gradients, off):
                return found
        return []

    def _explaining_all(
        self,
        pairs: list[list[Rule]],
        actual: Mapping[str, ndarray],
        gradients: Sequence[str],
        off: Sequence[str],
    ) -> list[Diagnosis]:
        """Return the pairs of rules that explain every gradient."""
        given = predicted(self.taped, pairs)
        rows = np.flatnonzero(self._fits(given, actual, gradients).all(1))
        return self._diagnosed([pairs[row] for row in rows], rows, given, actual, off) if rows.size else []

    def _each_its_own(
        self,
        actual: Mapping[str, ndarray],
        gradients: Sequence[str],
        off: Sequence[str],
        fits: ndarray,
        changes: ndarray,
        alone: Mapping[str, Diagnosis | None],
    ) -> list[Diagnosis]:
        """Return the explanations of some tensors, tensor by tensor, and of the rest."""
        columns = {name: i for i, name in enumerate(gradients)}
        found, left = [], list(off)
        consistent = np.flatnonzero(~(changes & ~fits).any(1) & (fits & changes).any(1))  # gives all that it changes
        for r in sorted(consistent, key=lambda r: -int((fits & changes)[r].sum())):
            names = [name for name in left if fits[r, columns[name]] and changes[r, columns[name]]]
            if names:
                residuals = {name: self._residual(name, self._all.given[name][r], actual[name]) for name in names}
                found.append(Diagnosis(self._all.rules[r].fault, self._sentence(self._all.rules[r].text), residuals))
                left = [name for name in left if name not in names]
        for name in list(left):
            own = alone[name]
            if own is not None:
                found.append(own)
                left.remove(name)
        if left:
            residuals = {name: self._residual(name, self.right[name], actual[name]) for name in left}
            text = f"unexplained: {', '.join(left)}; {self._first_wrong(actual, left)}"
            found.append(Diagnosis(UNEXPLAINED, text, residuals, start=self._first_wrong(actual, left)))
        return found

    def _alone(self, name: str, actual: ndarray) -> Diagnosis | None:
        for fault, text, tensor in faults_of(name, actual, self._parts, self.taped, self._words):
            if self._same(name, actual, tensor):
                return Diagnosis(fault, self._sentence(text), {name: self._residual(name, tensor, actual)})
        return None

    def _sentence(self, text: str) -> str:
        """Return a clause as a sentence; a tensor's name keeps its case."""
        begins = text if text.split()[0].rstrip(":") in self.right else f"{text[0].upper()}{text[1:]}"
        return f"{begins}."

    def _first_wrong(self, actual: Mapping[str, ndarray], left: Sequence[str]) -> str:
        """Return the first wrong gradient on the way back: the last step with a wrong gradient of an input."""
        for name in left:
            if isinstance(self.taped.graph.sources[name], list):
                wrong = np.abs(actual[name] - self.right[name]) > self._bound(name, self.right[name])
                t = int(np.flatnonzero(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != 1)))[-1])
                return f"first wrong gradient: {name} at step {t} (counted from 0)"
        return f"first wrong gradient: {left[0]}"
