"""``forward-mode``: every gradient of a recurrence by tangents, without a backward pass."""

from __future__ import annotations

from harness.derive.noise import answered
from harness.derive.recording import Recording
from harness.derive.tangents import forward_mode as by_tangents
from harness.implementations.base import ANY, Returned, implementation
from harness.problem import Problem
from harness.problem.recurrent import sequences_of


@implementation("forward-mode", recurrence=ANY, only_with="recurrence", is_oracle=True, complete=True)
def forward_mode(problem: Problem) -> Returned:
    """Tangents of every element through the recorded step."""
    sequences = sequences_of(problem)
    recording = Recording(sequences)
    return {**answered(recording, sequences), **by_tangents(recording, sequences)}
