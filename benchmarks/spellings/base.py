"""The base of spellings: the reference with one thing written in another way, run on a problem."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy import ndarray

from harness.problem import Problem
from harness.problem.reference import activations_of, backward, forward
from harness.result import Result
from reference_impls import network
from reference_impls.activations import ACTIVATIONS, Activation

Tensors = dict[str, ndarray]


class Spelling:
    """A way to write a recurrent network, forward and backward, that goes wrong on some problems.

    A subclass overrides the part that it writes in another way; its docstring explains it in a sentence or two.
    """

    @property
    def name(self) -> str:
        """The class's name, in lower case with hyphens."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", type(self).__name__).lower()

    @property
    def about(self) -> str:
        """The docstring in one line."""
        return " ".join((type(self).__doc__ or "").split())

    def obstacle(self, problem: Problem) -> str:
        """Return the reason why it does not apply to this problem, such as "there is no readout"; empty if it does."""
        del problem
        return ""

    def given(self, problem: Problem) -> Problem:
        """Return the problem that is computed in place of the given one."""
        return problem

    def activation(self, name: str, *, gate: bool) -> Activation:
        """Return φ, or σ of a gate."""
        del gate
        return ACTIVATIONS[name]

    def loss(self, problem: Problem, outputs: ndarray) -> tuple[ndarray, ndarray]:
        """Return the loss, of shape (), of outputs (B, T, O), and d_outputs (B, T, O)."""
        return problem.loss(outputs)

    def backward(self, problem: Problem, passed: network.ForwardPass, d_outputs: ndarray) -> Tensors:
        """Return every gradient by name, from d_outputs (B, T, O)."""
        return backward(problem, passed, d_outputs)

    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        """Return loss, outputs and gradients with the spelling's changes."""
        del problem
        return tensors

    def __call__(self, problem: Problem) -> Result:
        """Run it on a problem in the split layout."""
        with np.errstate(all="ignore"):
            given = self.given(problem)
            passed = self.forward(given)
            loss, d_outputs = self.loss(given, passed.outputs)
            tensors = {"loss": loss, "outputs": passed.outputs, **self.backward(given, passed, d_outputs)}
            tensors = self.returned(tensors, problem)
        loss, outputs = tensors.pop("loss"), tensors.pop("outputs")
        return Result(np.asarray(loss), outputs, tensors, 0.0)

    def forward(self, problem: Problem) -> network.ForwardPass:
        """Run forward with the spelling's activations."""
        named = activations_of(problem, lambda name: self.activation(name, gate=True))
        return forward(problem, named | {"activation": self.activation(problem.case.activation, gate=False)})


def with_weights(problem: Problem, changed: Tensors) -> Problem:
    """Return the problem with some of its weights replaced."""
    return replace(problem, weights={**problem.weights, **changed})


def among(tensors: Tensors, *kinds: str) -> Iterator[tuple[str, ndarray]]:
    """Return the tensors of some kinds, which end their names: ``W_hh`` for ``layer3.W_hh``."""
    return ((name, tensor) for name, tensor in tensors.items() if name.rpartition(".")[2] in kinds)


@contextmanager
def replaced(module: object, name: str, value: object) -> Iterator[None]:
    """Replace a module's attribute for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
