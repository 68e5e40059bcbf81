"""Truncation for implementations that differentiate by a framework: the pieces of graph to run.

The framework provides only a way to run some steps from a given state, and a way to make a constant of a state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reference_impls.truncation import Detach, Truncation, Window

State = TypeVar("State")


def pieces(
    truncation: Truncation | None,
    T: int,
    initial: State,
    run: Callable[[int, int, State], tuple[Any, State]],
    constant: Callable[[State], State],
    newest: Callable[[Any], Any] = lambda outputs: outputs[:, -1:],
) -> list[Any]:
    """Return the outputs in pieces (B, steps, D·H) to be joined; each has the graph that its losses may reach.

    Args:
        truncation: The truncation; None for one piece.
        T: The number of steps.
        initial: The initial state of all layers.
        run: A function: ``run(first, last, state)`` runs the steps from ``first`` up to ``last``, exclusive. It returns
            the outputs of the last layer, (B, last - first, D·H), and the state of all layers after the last step.
        constant: A function that returns a state with the same numbers, through which no gradient passes.
        newest: A function that returns the last step of outputs.
    """
    if isinstance(truncation, Window) and truncation.lags(T) < T:  # else every loss reaches the first step
        before = [initial]  # the initial state of each step up to the present one
        for t in range(T - 1 - truncation.steps):
            before.append(constant(run(t, t + 1, constant(before[t]))[1]))
        reached = ((max(0, t - truncation.steps), t) for t in range(T))
        return [newest(run(first, t + 1, before[first])[0]) for first, t in reached]
    every = truncation.every if isinstance(truncation, Detach) else T
    found, state = [], initial
    for first in range(0, T, every):
        outputs, state = run(first, min(first + every, T), state if first == 0 else constant(state))
        found.append(outputs)
    return found
