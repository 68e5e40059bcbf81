"""``forward-mode``: every gradient by tangents, without a backward pass."""

from __future__ import annotations

from harness.derive.imaginary import all_elements, by_imaginary_parts
from harness.derive.recording import recorded
from harness.implementations.base import ANY, Returned, implementation
from harness.problem import Problem


@implementation("forward-mode", recurrence=ANY, only_with="recurrence", is_oracle=True, complete=True)
def forward_mode(problem: Problem) -> Returned:
    """Tangents of every element through the recorded step."""
    graph, answers, ends = recorded(problem.calculation)
    return {**answers, **by_imaginary_parts(graph, ends, all_elements(graph))}
