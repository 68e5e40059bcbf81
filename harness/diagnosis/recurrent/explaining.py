"""An explanation of wrong gradients of a recurrence, from its step alone.

Every tensor counts by itself. A rule explains the tensors that it gives to the last digit. Tensors that it changes
without giving them need a second rule, sought with the first one broken. Tensors that no rule gives may have a fault of
one tensor alone. All others are reported as unexplained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy import ndarray

from harness.derive.noise import answered
from harness.derive.recording import Recording, Sequences
from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.diagnosis.recurrent.alone import Parts, changes_of, faults_of
from harness.diagnosis.recurrent.naming import Names
from harness.diagnosis.recurrent.predicting import predicted
from harness.diagnosis.recurrent.rules import Rule, rules
from harness.problem.recurrent import RecurrenceProblem
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

CHUNK = 400

NOTHING = Rule("nothing", "nothing")
"""Stands for a rule that a sequence of one step does not have."""


@dataclass(frozen=True, eq=False)
class _End:
    """The last step on a tape, and the rules there, each at the position that it has for the whole sequence."""

    recording: Recording
    sequences: Sequences
    rules: Sequence[Rule]


class Explainer:
    """Explains answers to one problem; what the rules would give is computed once.

    Args:
        problem: the problem.
        noise: the change by rounding alone of each tensor, absolute.
    """

    def __init__(self, problem: RecurrenceProblem, noise: Mapping[str, float]) -> None:
        self.problem = problem
        self._noise = noise
        self._sequences = problem.as_dtype(np.float64).sequences
        self._recording = Recording(self._sequences)
        self._names = Names(self._recording, problem.recurrence.file)
        self._parts = Parts(self._recording, self._sequences)
        self.right = {**answered(self._recording, self._sequences), **self._parts.right}

    @cached_property
    def _rules(self) -> list[Rule]:
        return rules(self._recording, self._sequences, self._names)

    @cached_property
    def _single(self) -> dict[str, ndarray]:
        return predicted(self._recording, self._sequences, [[rule] for rule in self._rules])

    def explained(self, actual: Mapping[str, ndarray], matching: Sequence[str] = ()) -> list[Diagnosis]:
        """Return the explanations of an answer, the best first; nothing if nothing is wrong.

        Args:
            actual: the returned tensors, by name.
            matching: names of tensors that were judged to match.
        """
        found = [self._misshapen(name, array) for name, array in actual.items() if name in self.right]
        of_shapes = [each for each in found if each is not None]
        usable = {
            name: np.asarray(array, np.float64)
            for name, array in actual.items()
            if name in self.right and np.shape(array) == self.right[name].shape
        }
        off = [name for name in usable if name not in matching and not self._same(name, usable[name], self.right[name])]
        if not off:
            return of_shapes
        forward = [name for name in off if not is_gradient(name)]
        if forward:
            return [*of_shapes, self._forward(forward, off)]
        return [*of_shapes, *self._backward(usable, off)]

    def _same(self, name: str, one: ndarray, other: ndarray) -> bool:
        return bool((np.abs(one - other) <= self._bound(name)).all())

    def _bound(self, name: str) -> float:
        largest = float(np.abs(self.right[name]).max(initial=0.0))
        return UNITS * max(float(np.finfo(self.problem.case.dtype).eps) * largest, self._noise.get(name, 0.0), 1e-300)

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
        return Diagnosis(UNEXPLAINED, text, residuals, start="the forward pass")

    def _backward(self, actual: Mapping[str, ndarray], off: Sequence[str]) -> list[Diagnosis]:
        gradients = [name for name in actual if is_gradient(name)]
        fits = self._fits(self._single, actual, gradients)
        changes = self._changes(self._single, gradients)
        rows = np.flatnonzero(fits.all(1))
        if rows.size:
            return self._of_rows([[int(r)] for r in rows], self._single, actual, off)
        alone = {name: self._alone(name, actual[name]) for name in off}
        if len(off) == 1 and alone[off[0]] is not None:
            return [each for each in alone.values() if each is not None]
        if pairs := self._pairs(actual, gradients, off, fits, changes):
            return pairs
        if pairs := self._with_change(actual, gradients, off, fits, changes):
            return pairs
        if pairs := self._screened_pairs(actual, gradients, off):
            return pairs
        return self._each_its_own(actual, gradients, off, fits, changes, alone)

    def _fits(self, given: Mapping[str, ndarray], actual: Mapping[str, ndarray], names: Sequence[str]) -> ndarray:
        """Return which rows give which tensors, (R, tensors) of bool."""
        columns = []
        for name in names:
            apart = np.abs(given[name] - actual[name]).reshape(len(given[name]), -1)
            columns.append((apart <= self._bound(name)).all(1))
        return np.stack(columns, 1)

    def _changes(self, given: Mapping[str, ndarray], names: Sequence[str]) -> ndarray:
        """Return which rows change which tensors, (R, tensors) of bool."""
        return ~self._fits(given, self.right, names)

    def _of_rows(
        self,
        rows: Sequence[Sequence[int]],
        given: Mapping[str, ndarray],
        actual: Mapping[str, ndarray],
        off: Sequence[str],
    ) -> list[Diagnosis]:
        """Return a diagnosis for each combination of rules; ``given`` has a row for each."""
        return self._diagnosed(rows, [row[-1] for row in rows], given, actual, off)

    def _diagnosed(
        self,
        combinations: Sequence[Sequence[int]],
        at: Iterable[int],
        given: Mapping[str, ndarray],
        actual: Mapping[str, ndarray],
        off: Sequence[str],
    ) -> list[Diagnosis]:
        """Return a diagnosis for each combination of rules, of which ``given`` has a row at each of ``at``."""
        found: dict[str, Diagnosis] = {}
        for row, i in zip(combinations, at, strict=True):
            chosen = [self._rules[r] for r in row]
            residuals = {name: self._residual(name, given[name][i], actual[name]) for name in off}
            text = "; and ".join(rule.text for rule in chosen)
            found.setdefault(text, Diagnosis(" + ".join(rule.fault for rule in chosen), _sentence(text), residuals))
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
        seen: set[bytes] = set()
        for r in order:
            key = b"".join(np.round(self._single[name][r], 12).tobytes() for name in gradients)
            if key in seen or len(seen) >= MOST_PEELED:
                continue
            seen.add(key)
            first = self._rules[r]
            given = predicted(self._recording, self._sequences, [[first, rule] for rule in self._rules])
            rows = np.flatnonzero(self._fits(given, actual, gradients).all(1))
            if rows.size:
                return self._of_rows([[int(r), int(s)] for s in rows], given, actual, off)
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
                given = self._single[name][r]
                fitting = (
                    each
                    for each in changes_of(name, actual[name], given, self._sequences)
                    if self._same(name, actual[name], each[2])
                )
                own += [each for each in [next(fitting, None)] if each is not None]
            if len(own) == len(left):
                fault = " + ".join([self._rules[r].fault, *(each[0] for each in own)])
                text = "; and ".join([self._rules[r].text, *(each[1] for each in own)])
                given_by = {name: self._single[name][r] for name in off}
                given_by |= dict(zip(left, [each[2] for each in own], strict=True))
                residuals = {name: self._residual(name, given_by[name], actual[name]) for name in off}
                return [Diagnosis(fault, _sentence(text), residuals)]
        return []

    def _screened_pairs(
        self, actual: Mapping[str, ndarray], gradients: Sequence[str], off: Sequence[str]
    ) -> list[Diagnosis]:
        """Return pairs that explain everything, sought at the last step: there the way back begins.

        The gradient of an input at the last step needs one step of a pass, so that all pairs can be tried. Rules that
        are alike there stand for each other; those that fit are then tried over the whole sequence.
        """
        inputs = [f"inputs.{name}" for name in self._sequences.recurrence.inputs if f"inputs.{name}" in actual]
        if not inputs or self._sequences.steps < MOST_STEPS_BACK:
            return []
        end = self._end
        seen = np.concatenate([actual[name][:, -1].reshape(-1) for name in inputs])
        single = self._at_the_end([[rule] for rule in end.rules], inputs)
        groups: dict[bytes, list[int]] = {}
        for r, row in enumerate(np.round(single, 10)):
            groups.setdefault(row.tobytes(), []).append(r)
        members = list(groups.values())
        firsts = [(i, j) for i in range(len(members)) for j in range(i, len(members))]
        if len(firsts) > MOST_SCREENED:
            return []
        found = self._at_the_end([[end.rules[members[i][0]], end.rules[members[j][0]]] for i, j in firsts], inputs)
        bound = max(self._bound(name) for name in inputs)
        fitting = np.flatnonzero((np.abs(found - seen) <= bound).all(1))
        pairs = [
            (r, s) for each in fitting for r in members[firsts[each][0]] for s in members[firsts[each][1]] if r < s
        ]
        for start in range(0, min(len(pairs), MOST_PAIRS), CHUNK):
            some = pairs[start : start + CHUNK]
            given = predicted(self._recording, self._sequences, [[self._rules[r], self._rules[s]] for r, s in some])
            rows = np.flatnonzero(self._fits(given, actual, gradients).all(1))
            if rows.size:
                return self._diagnosed([list(some[row]) for row in rows], rows, given, actual, off)
        return []

    @cached_property
    def _end(self) -> _End:
        sequences = self._sequences
        entering = {name: node.value for name, node in self._recording.entering[-1].items()}
        own = sequences.recurrence.inputs
        last = replace(
            sequences,
            inputs={name: array[:, -1:] if name in own else array for name, array in sequences.inputs.items()},
            initial_state=entering,
            upstream=sequences.upstream[:, -1:],
        )
        recording = Recording(last)
        names = Names(recording, self.problem.recurrence.file)
        by_text = {rule.text: rule for rule in rules(recording, last, names)}
        return _End(recording, last, [by_text.get(rule.text, NOTHING) for rule in self._rules])

    def _at_the_end(self, rows: Sequence[Sequence[Rule]], inputs: Sequence[str]) -> ndarray:
        """Return the gradients of the inputs at the last step under each combination of rules, (R, elements)."""
        given = predicted(self._end.recording, self._end.sequences, rows)
        return np.concatenate([given[name].reshape(len(rows), -1) for name in inputs], 1)

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
                residuals = {name: self._residual(name, self._single[name][r], actual[name]) for name in names}
                found.append(Diagnosis(self._rules[r].fault, _sentence(self._rules[r].text), residuals))
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
        for fault, text, tensor in faults_of(name, actual, self._parts, self._recording, self._sequences, self._names):
            if self._same(name, actual, tensor):
                return Diagnosis(fault, _sentence(text), {name: self._residual(name, tensor, actual)})
        return None

    def _first_wrong(self, actual: Mapping[str, ndarray], left: Sequence[str]) -> str:
        """Return the first wrong gradient on the way back: the last step with a wrong gradient of an input."""
        for name in left:
            if name.removeprefix("inputs.") in self.problem.recurrence.inputs:
                wrong = np.abs(actual[name] - self.right[name]) > self._bound(name)
                t = int(np.flatnonzero(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != 1)))[-1])
                return f"first wrong gradient: {name} at step {t} (counted from 0)"
        return f"first wrong gradient: {left[0]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
