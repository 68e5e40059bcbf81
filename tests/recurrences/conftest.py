"""Problems drawn for a recurrence, and its gradients by each route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy import ndarray

from harness.derive import tangents
from harness.derive.imaginary import all_elements, by_imaginary_parts
from harness.derive.namespaces.numpy import xp
from harness.derive.recording import Recording, Sequences
from harness.derive.reverse import gradients
from harness.derive.stepping import Loop
from harness.recurrences import Recurrence, recurrences
from harness.tensors import is_gradient


def _drawn(recurrence: Recurrence, seed: int = 0, B: int = 3, T: int = 5, **given: int) -> Sequences:
    """Draw arrays with no zeros outside of masks, and an upstream gradient for every output and every last state."""
    random = np.random.Generator(np.random.PCG64(seed))
    sizes = recurrence.sizes(**given)

    def draw(name: str, shape: tuple[int, ...], scale: float = 1) -> ndarray:
        if name in recurrence.held:
            return random.integers(0, 2, size=shape).astype(float)
        normal = random.normal(size=shape) * scale
        return 0.5 + normal**2 if name in recurrence.positive else normal

    def draw_all(declared: Mapping[str, str], *before: int) -> dict[str, ndarray]:
        return {name: draw(name, shape) for name, shape in recurrence.shapes(declared, sizes, *before).items()}

    weights = {
        name: draw(name, shape, shape[0] ** -0.5 if len(shape) > 1 else 1)
        for name, shape in recurrence.shapes(recurrence.weights, sizes).items()
    }
    inputs = {**draw_all(recurrence.inputs, B, T), **draw_all(recurrence.context, B)}
    problem = Sequences(recurrence, weights, inputs, draw_all(recurrence.state, B), np.empty(0), {})
    outputs, last = problem.forward(Loop(xp))
    upstream = random.normal(size=(B, T, *outputs[0].shape[1:]))
    return replace(
        problem, upstream=upstream, upstream_state={name: random.normal(size=v.shape) for name, v in last.items()}
    )


def _astype(problem: Sequences, dtype: Any) -> Sequences:
    return replace(
        problem.mapped(lambda _, array: array.astype(dtype)),
        upstream=problem.upstream.astype(dtype),
        upstream_state={name: array.astype(dtype) for name, array in problem.upstream_state.items()},
    )


def _worst(actual: Mapping[str, ndarray], expected: Mapping[str, ndarray], dtype: Any = np.float64) -> dict[str, float]:
    """Return the largest error of each tensor, in eps of a dtype and of the tensor's largest element."""
    assert actual.keys() == expected.keys()
    worst = {}
    for name, tensor in expected.items():
        assert actual[name].shape == tensor.shape, name
        error = np.abs(np.asarray(actual[name], np.longdouble) - tensor).max()
        worst[name] = float(error / max(np.abs(tensor).max(), np.finfo(np.float64).tiny) / np.finfo(dtype).eps)
    return worst


def _by(framework: str) -> Callable[[Sequences], dict[str, np.ndarray]]:
    def gradients_of(problem: Sequences) -> dict[str, np.ndarray]:
        found = import_module(f"harness.derive.namespaces.{framework}").gradients(problem)
        return {name: each for name, each in found.items() if is_gradient(name)}

    return gradients_of


def by_imaginary_parts_of_all(problem: Sequences) -> dict[str, np.ndarray]:
    recording = Recording(problem)
    return by_imaginary_parts(recording, recording.ends(problem), all_elements(recording))


@pytest.fixture(params=recurrences())
def recurrence(request) -> Recurrence:
    """Every recurrence in turn."""
    return recurrences()[request.param]


@pytest.fixture
def drawn() -> Callable[..., Sequences]:
    """Draw a problem: ``drawn(recurrence, seed=1, T=2, H=3)``."""
    return _drawn


@pytest.fixture
def astype() -> Callable[..., Sequences]:
    """Return a problem with every number in another dtype."""
    return _astype


@pytest.fixture
def worst() -> Callable[..., dict[str, float]]:
    """Return the largest error of each tensor, in eps."""
    return _worst


@pytest.fixture
def by_route() -> dict[str, Callable[[Sequences], dict[str, ndarray]]]:
    """The gradients of a problem, by each route."""
    return {
        "reverse": lambda problem: gradients(Recording(problem), problem),
        "forward mode": by_imaginary_parts_of_all,
        "complex step": lambda problem: tangents.complex_step(recording := Recording(problem), recording.ends(problem)),
        "torch": _by("torch"),
        "jax": _by("jax"),
        "tensorflow": _by("tensorflow"),
    }


@pytest.fixture
def exact(by_route) -> Callable[[Sequences], dict[str, ndarray]]:
    """Return the gradients by complex step in longdouble."""
    return lambda problem: by_route["complex step"](_astype(problem, np.longdouble))
