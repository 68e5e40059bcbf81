"""The search for explanations of the numbers: one fault, then several, the fewest first.

A fault that would change a right tensor is excluded. Each remaining fault is tried alone. If no single fault explains
everything, each fault that explains some tensors is a base: the other tensors are settled one by one on top of it,
because most faults touch one tensor alone. Only then are faults that touch many tensors tried in pairs.

A part of an explanation needs evidence in the tensors that it settles, however much evidence other tensors have: a
number that is fitted to one number explains nothing. If nothing explains everything, the search also returns
explanations that leave some tensors open.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

import numpy as np
from numpy import ndarray

from harness.diagnosis.clipping import FORWARD, NORM, factor_of, limited, scaled
from harness.diagnosis.decomposition import decompositions
from harness.diagnosis.evidence import Evidence
from harness.diagnosis.explanation import SWAPPED
from harness.diagnosis.faults import Suspect
from harness.diagnosis.faults.base import contradict
from harness.diagnosis.faults.scale import factors
from harness.diagnosis.pairing import SCALED, fitting_where_first_off, orders, worth_pairing
from harness.diagnosis.parts import Explanation, ExplanationPart, Settled, coverings
from harness.diagnosis.predictions import Prediction, Predictions
from harness.diagnosis.swaps import swaps
from harness.diagnosis.tensor_faults import TENSOR_FAULTS, Subject, TensorPrediction
from harness.problem import Problem
from harness.tensors import GATES
from reference_impls.truncation import passes

MOST_FAULTS = 3
MOST_BASES = 24
MOST_SECONDS = 1.0
"""Maximum seconds of the runs of one search, as estimated, so that it ends alike on every machine."""

CHANCE_BITS = 10.0
"""Minimum evidence of each part of an explanation in the tensors that it settles, beyond the cost of its choice:
one in a thousand by chance.
"""


class Search:
    """One search.

    Args:
        evidence: the numbers in question.
        predictions: the results of each fault on the problem.
        among: the names of the faults to try; all unless given.
    """

    def __init__(self, evidence: Evidence, predictions: Predictions, among: Collection[str] | None = None) -> None:
        self.evidence = evidence
        self.predictions = predictions
        self.among = among
        self.singles: list[Prediction] = []
        self.breadths: dict[Suspect, int] = {}
        self.off = evidence.off
        self.tried = Counter[str]()  # by tensor, the predictions compared with the numbers
        self.partial: list[Explanation] = []
        self.last_run = 0

    def explanations(self) -> list[Explanation]:
        """Return the explanations of all wrong tensors, the best first."""
        if not self.off:
            return []
        # Faults of all layers explain most; faults of one layer take most of the time.
        candidates, found = self._singly(in_one_layer=False)
        if not found and self.predictions.problem.case.layers > 1:
            candidates, found = self._singly(in_one_layer=True)
        self._limit_runs()
        if (common := scaled(self.evidence, self.predictions.truth)) is not None and common[0].fault == NORM:
            found += self._given(common[:1], {**self.predictions.truth, **common[1]})
        found = self._beyond_chance([*found, *self._on_top(None, whole=bool(found))])
        if not any(len(each.parts) == 1 for each in found):
            for base in self._bases(candidates):
                found += self._on_top(base)
            found = self._beyond_chance([*found, *self._scaled(candidates), *self._clipped(candidates)])
        return self._in_order(found)

    def in_pairs(self) -> list[Explanation]:
        """Return the explanations by two faults that only fit together, after ``explanations`` found none."""
        self._limit_runs()
        return self._in_order(self._beyond_chance(list(self._pairs(self.possible_singles()))))

    def _limit_runs(self) -> None:
        """Limit the runs from now on; those of single faults are over."""
        self.last_run = self.predictions.runs + int(MOST_SECONDS / _seconds_of_a_run(self.predictions.problem))

    def _in_order(self, found: list[Explanation]) -> list[Explanation]:
        return sorted((each for each in found if not self.undoes_itself(each)), key=lambda each: each.order)

    def explanations_of_some(self) -> list[Explanation]:
        """Return the explanations of some tensors that leave others open, after ``explanations`` found none."""
        return self._beyond_chance(self.partial)

    def possible_singles(self) -> list[Prediction]:
        """Return the faults that change no right tensor."""
        return [each for each in self.singles if self._possible(each)]

    def settled_by(self, prediction: Prediction, residuals: Mapping[str, float]) -> Settled:
        """Return what the faults of a prediction settle."""
        return Settled(tuple(self._part(suspect) for suspect in prediction.suspects), residuals)

    def _singly(self, *, in_one_layer: bool) -> tuple[list[Prediction], list[Explanation]]:
        """Return the possible faults, and those among them that explain everything alone."""
        singles = self.predictions.singles(self.among, in_one_layer=in_one_layer)
        self.singles = [each for each in singles if self._text_of(each.suspects[0])]
        self.breadths = {each.suspects[0]: len(each.changed) for each in self.singles}
        candidates = [each for each in self.singles if self._possible(each)]
        found = [Explanation((Settled((part,), residuals),)) for part, residuals in self._alone(candidates)]
        return candidates, self._beyond_chance(found)

    def _possible(self, prediction: Prediction) -> bool:
        touched = [name for name in self.evidence.names if name in prediction.changed]
        return bool(touched) and all(name in self.off for name in touched)

    def _text_of(self, suspect: Suspect) -> str:
        """Return the explanation, without the loss if none was returned; empty if another fault has the same one."""
        with_loss = "loss" in self.evidence.names and bool(np.all(self.evidence.known.get("loss", True)))
        return suspect.explanation if with_loss else suspect.explanation_without_loss

    def _part(self, suspect: Suspect) -> ExplanationPart:
        unlikely = suspect.fault.unlikely + (0.5 if suspect.layer is not None else 0)
        return ExplanationPart(
            suspect.name,
            self._text_of(suspect),
            unlikely=unlikely,
            declare=suspect.declaration,
            breadth=self.breadths.get(suspect, 1),
            suspect=suspect,
        )

    def _fits(self, name: str, predicted: ndarray) -> float | None:
        """Return the residual if a prediction of one tensor agrees with the numbers."""
        self.tried[name] += 1
        return self.evidence.residual_if_agrees(name, predicted)

    def explained(
        self, prediction: Prediction, among: Collection[str] | None = None, *, whole: bool = False
    ) -> dict[str, float]:
        """Return the residuals of the explained tensors; with ``whole``, nothing unless all are explained."""
        found = {}
        compared = [name for name in self.off if name in prediction.changed and (among is None or name in among)]
        for count, name in enumerate(compared, 1):
            residual = self._fits(name, prediction.changed[name])
            if residual is not None:
                found[name] = residual
            elif whole:
                self.tried.update(compared[count:])  # each of them might have fitted by chance
                return {}
        return found

    def _alone(self, candidates: Iterable[Prediction]) -> Iterator[tuple[ExplanationPart, dict[str, float]]]:
        for each in candidates:
            if all(name in each.changed for name in self.off):
                explained = self.explained(each, whole=True)
                if explained:
                    yield self._part(each.suspects[0]), explained

    def _bases(self, candidates: Iterable[Prediction]) -> list[Prediction]:
        """Return the predictions that explain some wrong tensors, those that explain most first."""
        counted = [(len(self.explained(each)), each) for each in candidates]
        partial = [(count, each) for count, each in counted if count]
        partial.sort(key=lambda pair: (-pair[0], sum(s.fault.unlikely for s in pair[1].suspects)))
        return [each for _, each in partial[:MOST_BASES]]

    def _on_top(self, base: Prediction | None, *, whole: bool = False) -> list[Explanation]:
        """Settle the tensors that a base leaves unexplained, tensor by tensor.

        Without a base, ``whole`` means that a fault of the catalogue explains everything alone. Then only another
        single explanation is worth showing.
        """
        settled: tuple[Settled, ...] = ()
        if base is not None:
            settled = (Settled(tuple(self._part(s) for s in base.suspects), self.explained(base)),)
        if not all(self.convincing(each) for each in settled):
            return []
        rest = [name for name in self.off if not any(name in each.residuals for each in settled)]
        if not rest:
            return [Explanation(settled)] if settled else []
        changed = {} if base is None else base.changed
        # A base changes no right tensor, since such a tensor could not be settled.
        assumed = {**self.predictions.truth, **changed}
        options = list(self._of_all(rest, assumed) if whole else self._options(rest, assumed, base))
        options = [each for each in options if self.convincing(each)]
        open_ = tuple(name for name in rest if not any(name in each.residuals for each in options))
        found = []
        for covering in coverings(set(rest) - set(open_), options, MOST_FAULTS - sum(len(s.parts) for s in settled)):
            on_top = (each.of_its_tensors() for each in covering)
            found.append(Explanation((*settled, *on_top), open_))
        found = [each for each in found if each.settled and self._holds(each)]
        if open_:
            self.partial += found
            return []
        return found

    def _holds(self, explanation: Explanation) -> bool:
        """Return whether faults that were settled one by one agree with the numbers together."""
        if len(explanation.suspects) < 2:
            return True
        known = {*explanation.open, *(name for part in explanation.parts for name in part.tensors)}
        together = {**self.predictions.truth, **self.predictions.predict(explanation.suspects).changed}
        return all(self._fits(name, together[name]) is not None for name in self.off if name not in known)

    def _options(self, rest: list[str], assumed: Mapping[str, ndarray], base: Prediction | None) -> Iterator[Settled]:
        """Yield the ways to settle some of the rest."""
        grouped: dict[tuple[str, str], Settled] = {}
        for name in rest:
            for key, option in self._settling(name, assumed).items():
                own = grouped.get(key, option)
                grouped[key] = Settled(own.parts, {**own.residuals, **option.residuals})
        yield from grouped.values()
        yield from self._swapped(rest, assumed)
        if base is None:
            yield from self._weighted()
        yield from self._more_suspects(rest, base)

    def _of_all(self, rest: list[str], assumed: Mapping[str, ndarray]) -> Iterator[Settled]:
        """Yield the ways to settle all of the rest at once, without the faults of the catalogue."""
        first, *others = rest
        grouped = self._settling(first, assumed)
        for name in others:
            if not grouped:
                break
            also = self._settling(name, assumed)
            grouped = {
                key: Settled(option.parts, {**option.residuals, **also[key].residuals})
                for key, option in grouped.items()
                if key in also
            }
        yield from grouped.values()
        yield from (each for each in self._swapped(rest, assumed) if each.residuals.keys() >= set(rest))
        blocks = {name.rpartition(".")[0] for name in rest}
        if len(blocks) == 1 and blocks <= set(self.predictions.problem.structure.blocks):
            yield from (each for each in self._weighted() if each.residuals.keys() >= set(rest))

    def _swapped(self, rest: list[str], assumed: Mapping[str, ndarray]) -> Iterator[Settled]:
        """Yield the largest swaps of tensors."""
        done: set[str] = set()
        for each in swaps(self.predictions.problem.structure, assumed, rest) if self._among(SWAPPED) else ():
            if done >= each.predicted.keys():
                continue
            fits = {name: self._fits(name, predicted) for name, predicted in each.predicted.items()}
            residuals = {name: fit for name, fit in fits.items() if fit is not None}
            if len(residuals) == len(fits):
                done |= residuals.keys()
                yield Settled((ExplanationPart(SWAPPED, each.text, tuple(residuals), whole=True),), residuals)

    def _among(self, fault: str) -> bool:
        return self.among is None or fault in self.among

    def _settling(self, name: str, assumed: Mapping[str, ndarray]) -> dict[tuple[str, str], Settled]:
        """Return the faults of one tensor that settle it, by fault and text; the first of equal ones."""
        found: dict[tuple[str, str], Settled] = {}
        for candidate in self._of_one_tensor(name, assumed):
            residual = self._fits(name, candidate.predicted)
            if residual is not None:
                part = ExplanationPart(candidate.fault, candidate.text, (name,), candidate.fitted, candidate.unlikely)
                found.setdefault((candidate.fault, candidate.text), Settled((part,), {name: residual}))
        return found

    def _weighted(self) -> Iterator[Settled]:
        """Yield the weighted sums that settle the wrong gradients of a layer's weights."""
        for weighted in decompositions(self.predictions.network, self.evidence):
            if self._among(weighted.fault):
                residuals = {name: self.evidence.fit(name, each).residual for name, each in weighted.predicted.items()}
                part = ExplanationPart(
                    weighted.fault,
                    weighted.text,
                    tuple(residuals),
                    weighted.fitted,
                    unlikely=3,
                    chosen=weighted.chosen,
                )
                yield Settled((part,), residuals)

    def _of_one_tensor(self, name: str, assumed: Mapping[str, ndarray]) -> Iterator[TensorPrediction]:
        actual = self.evidence.actual[name]
        if (known := self.evidence.known.get(name)) is not None:
            actual = np.where(known, actual, np.nan)
        subject = Subject(name, assumed, self.predictions.problem, actual)
        with np.errstate(all="ignore"):
            for fault, (_, maker) in TENSOR_FAULTS.items():
                if self._among(fault):
                    yield from maker(subject)

    def _more_suspects(self, rest: list[str], base: Prediction | None) -> Iterator[Settled]:
        """Yield the faults of the catalogue that settle some of the rest on top of a base, and unsettle nothing."""
        settled = set(self.off) - set(rest)
        for each in self.singles:
            touched = {name for name in self.evidence.names if name in each.changed}
            if not touched & set(rest) or not touched <= set(self.off):
                continue
            together = each
            if base is not None:
                fault = each.suspects[0].fault
                if any(contradict(s.fault, fault) for s in base.suspects):
                    continue
                if self.predictions.runs > self.last_run:
                    return
                together = self.predictions.predict(base.suspects, each.suspects)
            residuals = self.explained(together, rest)
            if residuals and settled <= self.explained(together, settled).keys():
                yield Settled((self._part(each.suspects[0]),), residuals)

    def _scaled(self, candidates: Iterable[Prediction]) -> Iterator[Explanation]:
        """Yield faults with one factor on every wrong gradient: with a name, of the loss, too, or of a clipped norm."""
        named = factors(self.predictions.problem)
        scalings = [(each, named[dict(each.parameters)[key]]) for each, key in self._scalings()]
        for each in candidates:
            assumed = {name: each.changed.get(name, self.predictions.truth[name]) for name in self.off}
            if each.suspects[0].name in SCALED or not (common := factor_of(self.evidence, assumed)):
                continue
            own = self._part(each.suspects[0])
            for suspect, factor in scalings:
                if abs(factor - common) <= 1e-3 * abs(common):
                    as_they_are = ("outputs",) if suspect.name == "loss-scaled" else FORWARD
                    given = {n: t if n in as_they_are else factor * t for n, t in assumed.items()}
                    yield from self._given((own, self._part(suspect)), given)
            if (found := scaled(self.evidence, assumed)) is not None:
                yield from self._given((own, found[0]), {**assumed, **found[1]})

    def _scalings(self) -> Iterator[tuple[Suspect, str]]:
        """Yield the possible faults that only scale, and the names of their parameters."""
        for each in self.singles:
            if each.suspects[0].name in SCALED and self._possible(each):
                yield each.suspects[0], next(iter(dict(each.suspects[0].parameters)))

    def _given(
        self,
        parts: tuple[ExplanationPart, ...],
        given: Mapping[str, ndarray],
        telling: Mapping[str, ndarray] | None = None,
    ) -> Iterator[Explanation]:
        """Yield the explanation of all wrong tensors by these parts, if these numbers agree."""
        residuals = {name: fit for name in self.off if (fit := self._fits(name, given[name])) is not None}
        if len(residuals) == len(self.off):
            yield Explanation((Settled(parts, residuals, telling or {}),))

    def _clipped(self, candidates: Iterable[Prediction]) -> Iterator[Explanation]:
        """Yield faults with all gradients clipped to one limit afterwards."""
        for each, part, given in limited(self.evidence, candidates):
            # An element at the limit gives no more than its sign.
            below = {n: np.abs(self.evidence.actual[n]) < np.abs(given[n]).max() for n in part.tensors}
            yield from self._given((self._part(each.suspects[0]), part), given, below)

    def _pairs(self, candidates: list[Prediction]) -> Iterator[Explanation]:
        """Try faults in pairs that only fit together, and settle the remaining tensors on top of them."""
        partial = []
        fitting = fitting_where_first_off(self.predictions.network, self.evidence, candidates)
        worth = (
            pair
            for pivot in self._pivots(candidates)
            for pair in worth_pairing(self.off, candidates, pivot, self._fits)
        )
        tried = set[tuple[Suspect, Suspect]]()
        for a, b in chain(sorted(fitting, key=_unlikely), worth):
            if self.predictions.runs > self.last_run:
                break
            for order in orders(a, b):
                if order in tried:
                    continue
                tried.add(order)
                tensors = self.predictions.tensors(order)
                if all(self._fits(name, tensors[name]) is None for name in self.off):
                    continue
                pair = self.predictions.predict(order)
                if not self._possible(pair):
                    continue
                explained = self.explained(pair)
                if len(explained) == len(self.off):
                    yield Explanation((Settled(tuple(self._part(s) for s in order), explained),))
                elif explained and self.explained_by_both(order, explained):
                    partial.append((len(explained), pair))
            if len(partial) >= MOST_BASES:
                break
        partial.sort(key=lambda each: -each[0])
        for _, pair in partial[:MOST_BASES]:
            yield from self._on_top(pair)

    def explained_by_both(self, order: tuple[Suspect, Suspect], explained: Mapping[str, float]) -> bool:
        """Return whether neither of two faults explains as much alone."""
        alone = (self.predictions.predict((each,)) for each in order)
        return not any(self.explained(each, explained).keys() == explained.keys() for each in alone)

    def _pivots(self, candidates: list[Prediction]) -> list[str]:
        """Return the wrong gradients, the one first that the fewest faults touch; the forward pass without any."""
        touched = {name: sum(name in each.changed for each in candidates) for name in self.off}
        gradients = [name for name in self.off if name not in FORWARD] or list(self.off)
        return sorted(gradients, key=lambda name: touched[name])

    def _beyond_chance(self, found: list[Explanation]) -> list[Explanation]:
        """Keep the explanations with only parts that fit better than the best of so many attempts would by chance."""
        return [each for each in found if all(self.convincing(settled) for settled in each.settled)]

    def undoes_itself(self, explanation: Explanation) -> bool:
        """Return whether one part undoes on the way back what a part of the forward pass changes: then the backward
        pass has no two faults, but is right for another forward pass.
        """
        for suspect in explanation.suspects if len(explanation.parts) > 1 else ():
            if not suspect.fault.alters_forward:
                continue
            own, alone = self.predictions.tensors((suspect,)), self.predictions.with_forward_pass(suspect)
            on_the_way_back = self.predictions.apart(own, alone)
            for part in explanation.parts:
                taken_back = on_the_way_back & set(part.tensors)
                if part.suspect is None and any(self._fits(name, alone[name]) is not None for name in taken_back):
                    return True
                if part.suspect not in (None, suspect):
                    both = self.predictions.tensors((suspect,), (part.suspect,))
                    if on_the_way_back - self.predictions.apart(both, alone):
                        return True
        return False

    def convincing(self, settled: Settled) -> bool:
        """Return whether the settled tensors give more bits than the choice and the fit of the settling parts cost."""
        residuals, parts = settled.residuals, settled.parts
        if not residuals:
            return False
        fitted = sum(part.fitted for part in parts)
        return self.evidence.bits(residuals, fitted=fitted, telling=settled.telling) >= self.bits_needed(settled)

    def bits_needed(self, settled: Settled) -> float:
        """Return the evidence that the settled tensors must give: the cost of the choice among all that was tried."""
        # All other candidates have been compared with each of them.
        tried = min(self.tried[name] for name in settled.residuals)
        chosen = sum(part.chosen for part in settled.parts)
        return CHANCE_BITS + len(settled.parts) * math.log2(max(tried, 2)) + chosen


def _unlikely(pair: tuple[Suspect, Suspect]) -> tuple[int, int]:
    return sum(each.layer is not None for each in pair), sum(each.fault.unlikely for each in pair)


def _seconds_of_a_run(problem: Problem) -> float:
    """Estimate the seconds of a network with a fault: its steps are Python, its products are not."""
    structure = problem.structure
    B, T, H = structure.batch, structure.time, structure.hidden
    together = (T,) if problem.lengths is None else set(problem.lengths.tolist())  # sequences of one length
    steps = len(structure.blocks) * sum(together) * len(passes(problem.truncation, T))
    per_step = {"rnn": 1.5e-5, "lstm": 4e-5, "gru": 4e-5}[structure.cell]
    return 1.5e-4 + steps * (per_step + 6 * GATES[structure.cell] * B * H * H / 4e9)
