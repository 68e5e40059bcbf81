"""The needs of faults: each is a function from a problem to the reason why a fault cannot be committed there.

The reason is empty if the problem has what the fault needs.
"""

from __future__ import annotations

from harness.problem import Problem


def several_steps(problem: Problem) -> str:
    """Need two steps."""
    return "there is only one step" if problem.case.sizes.time == 1 else ""


def three_steps(problem: Problem) -> str:
    """Need three steps."""
    return "there are fewer than three steps" if problem.case.sizes.time < 3 else ""


def several_sequences(problem: Problem) -> str:
    """Need two sequences in the batch."""
    return "there is only one sequence" if problem.case.sizes.batch == 1 else ""


def several_layers(problem: Problem) -> str:
    """Need two layers."""
    return "" if problem.case.layers > 1 else "there is only one layer"


def both_directions(problem: Problem) -> str:
    """Need a bidirectional network."""
    return "" if problem.structure.directions == 2 else "there is only one direction"


def padding(problem: Problem) -> str:
    """Need a sequence that is shorter than the batch."""
    return "" if not problem.valid.all() else "no sequence has padding"


def square_input_weights(problem: Problem) -> str:
    """Need a layer whose input is as wide as its state."""
    square = problem.case.layers > 1 or problem.case.sizes.input == problem.case.sizes.hidden
    return "" if square else "no W_xh is square"


def linear_readout(problem: Problem) -> str:
    """Need a readout."""
    return "" if problem.case.readout == "linear" else "there is no readout"


def loss_at_several_steps(problem: Problem) -> str:
    """Need a loss that covers two steps."""
    return "" if len(problem.case.steps) > 1 else "the loss covers only one step"


def steps_without_loss(problem: Problem) -> str:
    """Need a step that the loss does not cover."""
    return "" if len(problem.case.steps) < problem.case.sizes.time else "the loss covers all steps"


def relu(problem: Problem) -> str:
    """Need the activation relu."""
    return "" if problem.case.activation == "relu" else "the activation is not relu"


def curved_activation(problem: Problem) -> str:
    """Need an activation whose derivative is not constant on each side of zero."""
    name = problem.case.activation
    return f"the derivative of {name} is the same there" if name in ("relu", "identity") else ""


def truncation(problem: Problem) -> str:
    """Need a truncated gradient."""
    return "" if problem.truncation is not None else "nothing is truncated here"
