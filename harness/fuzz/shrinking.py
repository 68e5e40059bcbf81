"""Shrink choices by hypothesis while a property of their case holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.fuzz.drawing import Data
from harness.fuzz.source import FromDraws, Source

KEY = b"found"
UNSHRUNK = KEY + b".secondary"
"""The key under which hypothesis keeps failures that are not fully shrunk; under ``KEY`` they count as minimal."""


def shrunk(choices: Sequence[int], data_of: Callable[[Source], Data], holds: Callable[[Data], bool]) -> Data:
    """Return the smallest data that are found to have a property.

    hypothesis replays the choices like a failure that it kept, and shrinks them: fewer choices are simpler, and so are
    earlier options of a choice. It gives up after five minutes.

    Args:
        choices: The choices of the original data.
        data_of: A function that makes data of choices.
        holds: A function that returns whether data have the property; it is called at most once for each.

    Returns:
        The smallest data with the property; the original data if they do not have it.
    """
    from hypothesis import Phase, find, settings
    from hypothesis import strategies as st
    from hypothesis.database import InMemoryExampleDatabase, choices_to_bytes
    from hypothesis.errors import HypothesisException, NoSuchExample

    @st.composite
    def redrawn(draw: Any) -> Data:
        return data_of(FromDraws(lambda count: int(draw(st.integers(0, count - 1)))))

    left = iter(choices)
    smallest = data_of(FromDraws(lambda _: next(left)))
    known: dict[str, bool] = {}

    def condition(data: Data) -> bool:
        nonlocal smallest
        key = repr(data)
        if key not in known:
            known[key] = holds(data)
        if known[key]:
            smallest = data
        return known[key]

    database = InMemoryExampleDatabase()
    database.save(UNSHRUNK, choices_to_bytes(choices))
    options = settings(database=database, phases=(Phase.reuse, Phase.shrink), deadline=None, max_examples=1000)
    try:
        return find(redrawn(), condition, settings=options, database_key=KEY)
    except (
        NoSuchExample,
        HypothesisException,
    ):  # the property does not hold every time: return the smallest data for which it once did
        return smallest
