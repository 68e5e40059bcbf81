"""Choices made smaller by hypothesis for as long as something holds of the case that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.fuzz.drawing import Data
from harness.fuzz.source import FromDraws, Source

KEY = b"found"
UNSHRUNK = KEY + b".secondary"
"""Where hypothesis keeps failures that are not shrunk to the end; those under the key itself it takes for minimal."""


def shrunk(choices: Sequence[int], data_of: Callable[[Source], Data], holds: Callable[[Data], bool]) -> Data:
    """Return the smallest data that can be found of which something holds.

    hypothesis replays the choices, as if they were a failure that it had kept, and shrinks them from there: fewer
    choices are simpler, and so are earlier ones of what is chosen from. It gives up after five minutes.

    Args:
        choices: the choices that make the data to begin with.
        data_of: makes data of choices.
        holds: whether it holds of data; it is asked at most once of each.

    Returns:
        The data, of which it held; those to begin with if it did not hold of them.
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
    except (NoSuchExample, HypothesisException):  # it does not hold every time: the smallest of which it once did
        return smallest
