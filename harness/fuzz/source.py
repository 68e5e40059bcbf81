"""Where random choices come from: each is one of so many, and the first of them is the simplest.

A random case is made of nothing but such choices, so that it can be drawn from a seed in microseconds, and drawn again
by hypothesis, which shrinks choices without knowing what they are for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Source(Protocol):
    """Makes choices."""

    def index(self, count: int) -> int:
        """Return a whole number from 0 to count - 1."""


class FromSeed:
    """The choices of one case of a search, the same for the same seed and number, whatever was drawn before.

    Attributes:
        made: the choices so far.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._random = random.Random(f"{seed}/{number}")
        self.made: list[int] = []

    def index(self, count: int) -> int:
        """Return a whole number from 0 to count - 1, each as likely as any other."""
        if count == 1:  # no choice
            return 0
        self.made.append(self._random.randrange(count))
        return self.made[-1]


class FromDraws:
    """Choices that somebody else draws.

    Args:
        draw: returns a whole number from 0 to count - 1.
    """

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def index(self, count: int) -> int:
        """Return a whole number from 0 to count - 1."""
        return 0 if count == 1 else self._draw(count)


def one_of(source: Source, options: Sequence[T]) -> T:
    """Choose one of several values, of which the first is the simplest."""
    return options[source.index(len(options))]


def whole(source: Source, least: int, most: int) -> int:
    """Choose a whole number from ``least``, the simplest, to ``most``."""
    return least + source.index(most - least + 1)


def one_in(source: Source, count: int) -> bool:
    """Choose True once in so many times; False is simpler."""
    return source.index(count) == count - 1
