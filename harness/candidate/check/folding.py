"""Outcomes that came out alike, told as one: a sweep that fails everywhere in one way is one fault, not eight."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from harness.comparison import TensorComparison
from harness.diagnosis import UNEXPLAINED, Diagnosis
from harness.execution.session import CaseOutcome, Judgement
from harness.tensors import kind_of

FORWARD = ("outputs", "loss")
"""What is computed first, and told first."""

MAX_COMBINATIONS = 3
"""How many combinations of a sweep are listed one by one."""

Pair = tuple[CaseOutcome, Judgement]


@dataclass(frozen=True)
class Fold:
    """Cases that came out alike.

    Attributes:
        pairs: the cases, each with how the implementation did, in the order of the run.
    """

    pairs: tuple[Pair, ...]

    @property
    def first(self) -> Pair:
        """The one that stands for all."""
        return self.pairs[0]

    @property
    def verdict(self) -> str:
        """The verdict on each of them."""
        return str(self.first[1].verdict)

    @property
    def tensors(self) -> list[str]:
        """The tensors that disagree: by name if they are the same in all cases, else by kind."""
        names = [tuple(each.tensor for each in _disagreeing(judged)) for _, judged in self.pairs]
        if len({frozenset(each) for each in names}) == 1:
            return _forward_first(names[0])
        return _forward_first(dict.fromkeys(kind_of(name) for each in names for name in each))


def alike(pairs: Iterable[Pair]) -> list[Fold]:
    """Put together what came out alike, wherever it stands; in the order of the first of each."""
    return _folded(pairs, lambda pair: _signature(pair[1]))


def alike_by_file(pairs: Iterable[Pair]) -> list[tuple[Fold, Fold]]:
    """Put together the cases of one file that came out alike.

    Returns:
        For each such set all cases of the file, and the set.
    """
    by_file = _folded(pairs, lambda pair: file_name(pair[0]))
    return [(of_file, fold) for of_file in by_file for fold in alike(of_file.pairs)]


def file_name(outcome: CaseOutcome) -> str:
    """The name of a case without the combination of its sweep."""
    return outcome.case.name.partition("[")[0]


def combination(outcome: CaseOutcome) -> str:
    """The combination of its sweep, in brackets; empty if there is none."""
    return outcome.case.name.removeprefix(file_name(outcome))


def described_among(fold: Fold, all_of_file: Iterable[Pair]) -> str:
    """Say which of a sweep these are: by what they alone have in common, or all but that, or one by one."""
    chosen = {id(outcome): _settings(outcome) for outcome, _ in fold.pairs}
    others = [_settings(outcome) for outcome, _ in all_of_file if id(outcome) not in chosen]
    mine = list(chosen.values())
    for group, rest, words in ((mine, others, "{}"), (others, mine, "all but {}")):
        common = set.intersection(*group) if group else set()
        if common and not any(common <= each for each in rest):
            telling = sorted(each for each in common if not all(each in other for other in rest))
            return words.format(", ".join(telling))
    names = [combination(outcome) for outcome, _ in fold.pairs]
    return ", ".join(names[:MAX_COMBINATIONS]) + (", …" if len(names) > MAX_COMBINATIONS else "")


def _settings(outcome: CaseOutcome) -> set[str]:
    """``{"activation=tanh", "dtype=float32"}`` of a combination; commas inside brackets belong to a value."""
    inner = combination(outcome)[1:-1]
    return set(re.findall(r"(?:[^,{\[]|\{[^}]*\}|\[[^\]]*\])+", inner))


def _folded(pairs: Iterable[Pair], key: Callable[[Pair], object]) -> list[Fold]:
    found: dict[object, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(key(pair), []).append(pair)
    return [Fold(tuple(each)) for each in found.values()]


def _forward_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: name not in FORWARD)


def _signature(judged: Judgement) -> tuple[object, ...]:
    """Return the key of outcomes that are alike: the verdict, the kinds of tensors that disagree, the reason but for
    its numbers, and the faults that explain them.
    """
    kinds = frozenset(kind_of(each.tensor) for each in _disagreeing(judged))
    if judged.verdict == "unsupported":
        return (judged.verdict,)
    explained: dict[tuple[str, ...], tuple[str, str]] = {}
    for each in judged.diagnoses:  # of several that explain the same tensors the first is given
        explained.setdefault(tuple(sorted(kind_of(name) for name in each.tensors)), (each.fault, _words(each)))
    return judged.verdict, judged.status, kinds, re.sub(r"\d+", "#", judged.reason), frozenset(explained.values())


def _words(diagnosis: Diagnosis) -> str:
    """Return an explanation without what differs from case to case: names of tensors, factors, other numbers."""
    if diagnosis.fault == UNEXPLAINED:
        return ""
    words = re.sub(r"(^|And: )[\w., ]+? (is|are each) ", r"\1", diagnosis.explanation)
    words = re.sub(r"(\S+ = )?\S+ times", "# times", words)
    return re.sub(r"\d[\d.e+-]*", "#", words)


def _disagreeing(judged: Judgement) -> tuple[TensorComparison, ...]:
    return judged.comparison.disagreements if judged.comparison is not None else ()
