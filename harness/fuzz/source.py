"""Sources of random choices: each choice has a number of options, and the first option is the simplest.

A random case consists of such choices alone. So it can be drawn from a seed in microseconds, and drawn again by
hypothesis, which shrinks choices without knowing their meaning.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Source(Protocol):
    """A source of choices."""

    def index(self, count: int) -> int:
        """Return a whole number from 0 to count - 1."""


class FromSeed:
    """The choices of one case of a search, which depend on the seed and the case's number alone.

    Attributes:
        made: The choices so far.
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
    """Choices that a function draws.

    Args:
        draw: A function that returns a whole number from 0 to count - 1.
    """

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def index(self, count: int) -> int:
        """Return a whole number from 0 to count - 1."""
        return 0 if count == 1 else self._draw(count)


def one_of(source: Source, options: Sequence[T]) -> T:
    """Choose one of several values; the first is the simplest."""
    return options[source.index(len(options))]


def whole(source: Source, least: int, most: int) -> int:
    """Choose a whole number from ``least``, the simplest, to ``most``."""
    return least + source.index(most - least + 1)


def one_in(source: Source, count: int) -> bool:
    """Choose True once in ``count`` times on average; False is simpler."""
    return source.index(count) == count - 1
