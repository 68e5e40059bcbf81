"""Small random networks for the two derivations of each cell, and the gradient from the forward pass alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from reference_impls import (
    gru_concatenated,
    gru_split,
    lstm_concatenated,
    lstm_split,
    network,
    rnn_concatenated,
    rnn_split,
)
from reference_impls.activations import ACTIVATIONS
from reference_impls.layer import AnyLayer
from reference_impls.losses import LOSSES, number_of_terms

LAYERS = {"rnn_split": rnn_split, "rnn_concatenated": rnn_concatenated}
GATED = {
    "lstm": {"split": lstm_split, "concatenated": lstm_concatenated},
    "gru, reset after": {"split": gru_split.RESETS["after"], "concatenated": gru_concatenated.RESETS["after"]},
    "gru, reset before": {"split": gru_split.RESETS["before"], "concatenated": gru_concatenated.RESETS["before"]},
}
GATES = {"rnn": 1, "lstm": 4, "gru, reset after": 3, "gru, reset before": 3}
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
    def places(self) -> list[str]:
        """``layer0.``, ``layer0.reverse.``, …: what stands before the names of each direction of each layer."""
        return [name.removesuffix("W_xh") for name in self.weights if name.endswith("W_xh")]

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

    def arguments(self, layer: AnyLayer) -> tuple[Any, ...]:
        weights = dict(self.weights)
        if "W" in layer.WEIGHTS:
            for place in self.places:
                parts = [weights.pop(f"{place}{name}") for name in ("W_xh", "W_hh")]
                weights |= {f"{place}W": np.concatenate(parts), f"{place}b": weights.pop(f"{place}b_h")}
        return layer, weights, self.inputs, self.initial_state, ACTIVATIONS[self.activation]

    @property
    def terms(self) -> int:
        """The divisor of the sum over rows."""
        if self.reduction == "sum":
            return 1
        readout, states = self.weights.get("readout.b_y"), self.initial_state["layer0.h0"]
        directions = 2 if "layer0.reverse." in self.places else 1
        width = directions * states.shape[1] if readout is None else len(readout)
        return number_of_terms(self.loss, int(self.covered.sum()), width)

    def loss_of(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return LOSSES[self.loss](outputs, self.targets, self.covered, self.reduction)

    def forward_loss(self, layer: AnyLayer) -> np.ndarray:
        return self.loss_of(network.forward(*self.arguments(layer)).outputs)[0]

    def solve(self, layer: AnyLayer, truncation: Any = None) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Loss, outputs and the gradients of split weights."""
        _, weights, *_ = arguments = self.arguments(layer)
        passed = network.forward(*arguments)
        loss, d_outputs = self.loss_of(passed.outputs)
        gradients = network.backward(layer, weights, passed, d_outputs, truncation)
        for place in self.places:
            if "W" in layer.WEIGHTS:
                I = self.weights[f"{place}W_xh"].shape[0]
                of_W = gradients.pop(f"{place}W")
                gradients |= {f"{place}W_xh": of_W[:I], f"{place}W_hh": of_W[I:]}
                gradients[f"{place}b_h"] = gradients.pop(f"{place}b")
        return loss, passed.outputs, gradients

    def complex_step(self, layer: AnyLayer) -> dict[str, np.ndarray]:
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
    cell: str = "rnn",
    directions: int = 1,
    lengths: Any = None,
) -> Net:
    sizes = sizes or Sizes()
    B, T, I, H, O = sizes.B, sizes.T, sizes.I, sizes.H, sizes.O
    random = np.random.default_rng(seed)
    weights = {}
    places = [f"layer{n}.{way}" for n in range(layers) for way in ("", "reverse.")[:directions]]
    for place in places:
        width = I if place.startswith("layer0.") else directions * H
        weights[f"{place}W_xh"] = random.uniform(-0.9, 0.9, (width, GATES[cell] * H))
        weights[f"{place}W_hh"] = random.uniform(-0.9, 0.9, (H, GATES[cell] * H))
        weights[f"{place}b_h"] = random.uniform(-0.2, 0.9, GATES[cell] * H)
        if cell == "gru, reset after":
            weights[f"{place}b_hn"] = random.uniform(-0.2, 0.9, H)
    if readout:
        weights["readout.W_hy"] = random.uniform(-0.9, 0.9, (directions * H, O))
        weights["readout.b_y"] = random.uniform(-0.9, 0.9, O)
    width = O if readout else directions * H
    labels = random.integers(0, width, (B, T))
    covered = np.zeros((B, T), np.bool_)
    covered[:, steps] = True
    if lengths is not None:
        covered &= np.arange(T) < np.reshape(lengths, (B, 1))
    return Net(
        activation,
        loss,
        reduction,
        weights,
        inputs=random.normal(size=(B, T, I)),
        initial_state={
            f"{place}{name}": random.normal(size=(B, H))
            for place in places
            for name in (("h0", "c0") if cell == "lstm" else ("h0",))
        },
        targets=labels if loss == "softmax_cross_entropy" else random.normal(size=(B, T, width)),
        covered=covered,
    )


def far_apart(actual: np.ndarray, expected: np.ndarray, units: float) -> bool:
    """Return whether an element is off by more than ``units`` of the largest expected one. NaN is far from all."""
    bound = units * np.abs(expected).max()
    return not bool(np.all(np.abs(actual - expected) <= bound))


@pytest.fixture(params=LAYERS)
def derivation(request) -> AnyLayer:
    return LAYERS[request.param]


@pytest.fixture
def derivations() -> list[AnyLayer]:
    return list(LAYERS.values())


@pytest.fixture(params=GATED)
def cell(request) -> str:
    """The name of a gated cell."""
    return request.param


@pytest.fixture(params=["split", "concatenated"])
def gated(request, cell) -> AnyLayer:
    """A layer of that cell, in one of its two derivations."""
    return GATED[cell][request.param]


@pytest.fixture
def gated_forms() -> dict[str, dict[str, AnyLayer]]:
    """Every gated layer, by cell and derivation."""
    return GATED


@pytest.fixture
def gated_derivations(cell) -> list[AnyLayer]:
    return list(GATED[cell].values())


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
def changed() -> Callable[[ModuleType, str, str], ModuleType]:
    """Make a module with one piece of its code replaced."""

    def with_change(module: ModuleType, right: str, wrong: str) -> ModuleType:
        source = Path(module.__file__).read_text(encoding="utf-8")
        assert source.count(right) == 1, f"{module.__name__} has {right!r} {source.count(right)} times"
        other = ModuleType(module.__name__)
        exec(compile(source.replace(right, wrong), module.__file__, "exec"), other.__dict__)
        return other

    return with_change


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
