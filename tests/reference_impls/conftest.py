"""Small random networks for the two derivations, and the gradient that the forward pass alone tells."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import reference_impls
from reference_impls import network
from reference_impls.activations import ACTIVATIONS
from reference_impls.losses import LOSSES

_MODULES = [
    import_module(f"reference_impls.{module.name}") for module in pkgutil.iter_modules(reference_impls.__path__)
]
LAYERS = {module.__name__.rpartition(".")[2]: module for module in _MODULES if hasattr(module, "WEIGHTS")}
STEP = 1e-20


@dataclass(frozen=True)
class Sizes:
    B: int = 2
    T: int = 3
    I: int = 4
    H: int = 3
    O: int = 5


@dataclass(frozen=True)
class Net:
    """A network with split weights, whichever derivation is to compute it."""

    activation: str
    loss: str
    reduction: str
    weights: Mapping[str, np.ndarray]
    inputs: np.ndarray
    initial_state: Mapping[str, np.ndarray]
    targets: np.ndarray
    covered: np.ndarray

    @property
    def given(self) -> dict[str, np.ndarray]:
        """Everything that there is a gradient of."""
        return {**self.weights, **self.initial_state, "inputs": self.inputs}

    def with_given(self, given: Mapping[str, np.ndarray]) -> Net:
        return replace(
            self,
            weights={name: given[name] for name in self.weights},
            initial_state={name: given[name] for name in self.initial_state},
            inputs=given["inputs"],
        )

    def astype(self, dtype) -> Net:
        """The network with every number in another dtype; labels stay as they are."""
        targets = self.targets if self.targets.dtype.kind == "i" else self.targets.astype(dtype)
        return replace(
            self.with_given({name: array.astype(dtype) for name, array in self.given.items()}), targets=targets
        )

    def arguments(self, layer: ModuleType) -> tuple[Any, ...]:
        weights = self.weights
        if layer.WEIGHTS == ("W", "b"):
            weights = {name: array for name, array in weights.items() if name.startswith("readout.")}
            for n in range(len(self.initial_state)):
                parts = [self.weights[f"layer{n}.{name}"] for name in ("W_xh", "W_hh")]
                weights |= {f"layer{n}.W": np.concatenate(parts), f"layer{n}.b": self.weights[f"layer{n}.b_h"]}
        return layer, weights, self.inputs, self.initial_state, ACTIVATIONS[self.activation]

    def loss_of(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return LOSSES[self.loss](outputs, self.targets, self.covered, self.reduction)

    def forward_loss(self, layer: ModuleType) -> np.ndarray:
        return self.loss_of(network.forward(*self.arguments(layer)).outputs)[0]

    def solve(self, layer: ModuleType, truncation: Any = None) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Loss, outputs and the gradients of split weights."""
        loss, outputs, gradients = network.loss_and_gradients(*self.arguments(layer), self.loss_of, truncation)
        for n in range(len(self.initial_state)):
            if layer.WEIGHTS == ("W", "b"):
                I = self.weights[f"layer{n}.W_xh"].shape[0]
                of_W = gradients.pop(f"layer{n}.W")
                gradients |= {f"layer{n}.W_xh": of_W[:I], f"layer{n}.W_hh": of_W[I:]}
                gradients[f"layer{n}.b_h"] = gradients.pop(f"layer{n}.b")
        return loss, outputs, gradients

    def complex_step(self, layer: ModuleType) -> dict[str, np.ndarray]:
        """The gradient by every element of everything given, from the forward pass alone."""
        given = {name: array.astype(np.complex128) for name, array in self.given.items()}
        gradients = {}
        for name, array in given.items():
            gradients[name] = np.empty(array.shape)
            for index in np.ndindex(array.shape):
                moved = array.copy()
                moved[index] += STEP * 1j
                gradients[name][index] = self.with_given({**given, name: moved}).forward_loss(layer).imag / STEP
        return gradients


def make_net(
    activation: str = "tanh",
    loss: str = "squared_error",
    reduction: str = "sum",
    layers: int = 1,
    readout: bool = False,
    sizes: Sizes | None = None,
    steps: Any = slice(None),
    seed: int = 0,
) -> Net:
    sizes = sizes or Sizes()
    B, T, I, H, O = sizes.B, sizes.T, sizes.I, sizes.H, sizes.O
    random = np.random.default_rng(seed)
    weights = {}
    for n in range(layers):
        weights[f"layer{n}.W_xh"] = random.uniform(-0.9, 0.9, (I if n == 0 else H, H))
        weights[f"layer{n}.W_hh"] = random.uniform(-0.9, 0.9, (H, H))
        weights[f"layer{n}.b_h"] = random.uniform(-0.2, 0.9, H)
    if readout:
        weights["readout.W_hy"] = random.uniform(-0.9, 0.9, (H, O))
        weights["readout.b_y"] = random.uniform(-0.9, 0.9, O)
    width = O if readout else H
    labels = random.integers(0, width, (B, T))
    covered = np.zeros((B, T), np.bool_)
    covered[:, steps] = True
    return Net(
        activation,
        loss,
        reduction,
        weights,
        inputs=random.normal(size=(B, T, I)),
        initial_state={f"layer{n}.h0": random.normal(size=(B, H)) for n in range(layers)},
        targets=labels if loss == "softmax_cross_entropy" else random.normal(size=(B, T, width)),
        covered=covered,
    )


def far_apart(actual: np.ndarray, expected: np.ndarray, units: float) -> bool:
    """Whether any element is off by more than ``units`` of the largest expected one. NaN is far from everything."""
    bound = units * np.abs(expected).max()
    return not bool(np.all(np.abs(actual - expected) <= bound))


@pytest.fixture(params=LAYERS)
def derivation(request) -> ModuleType:
    return LAYERS[request.param]


@pytest.fixture
def derivations() -> list[ModuleType]:
    return list(LAYERS.values())


@pytest.fixture(params=ACTIVATIONS)
def activation(request) -> str:
    return request.param


@pytest.fixture(params=LOSSES)
def loss(request) -> str:
    return request.param


@pytest.fixture(params=["sum", "mean"])
def reduction(request) -> str:
    return request.param


@pytest.fixture(params=[1, 2, 3], ids="layers={}".format)
def layers(request) -> int:
    return request.param


@pytest.fixture(params=[False, True], ids=["states", "readout"])
def readout(request) -> bool:
    return request.param


@pytest.fixture
def net() -> Callable[..., Net]:
    return make_net


@pytest.fixture
def sized_net() -> Callable[..., Net]:
    """Make a network of given sizes: ``sized_net({"T": 1})``."""
    return lambda sizes, **options: make_net(sizes=Sizes(**sizes), **options)


@pytest.fixture
def assert_close() -> Callable[..., None]:
    """Assert that two sets of tensors are the same but for ``units`` of each tensor's largest element."""
    return _assert_close


def _assert_close(actual: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], units: float) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].shape == tensor.shape, name
        assert not far_apart(actual[name], tensor, units), f"{name}: {actual[name]} instead of {tensor}"


@pytest.fixture
def read_only() -> Callable[[Net], Net]:
    """Make every array of a network read-only."""

    def locked(net: Net) -> Net:
        for array in (*net.given.values(), net.targets, net.covered):
            array.setflags(write=False)
        return net

    return locked
