r"""Backpropagation through time in parts, so that a fault is one part put in another's place.

The same mathematics as ``reference_impls.rnn_split`` and ``reference_impls.network``, where the derivation stands; here
each term of it is a method. A fault of a layer is a subclass of ``Layer`` that overrides one method, a fault of what
stands around the layers is a subclass of ``Network``. Several at once are a class that inherits from all of them, which
is why an override calls ``super()`` wherever it can.

A truncated gradient is a sum of passes over the sequence in which what is carried back is cut where a chunk begins
(``reference_impls.truncation.passes``), so that the layers, and their faults, know nothing of truncation but the cuts.

Time first inside: T time, B batch, I input, H hidden, O output. Everything is computed in the dtype it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from harness.problem import Problem
from harness.tensors import Structure
from reference_impls.activations import ACTIVATIONS, Activation
from reference_impls.truncation import Pass, passes


class Tape(NamedTuple):
    """What a layer's forward pass leaves behind."""

    x: ndarray  # (T, B, I)
    before: ndarray  # (T, B, H): the state that each step starts from
    pre: ndarray  # (T, B, H): the pre-activations
    after: ndarray  # (T, B, H): the state that each step ends with


class Run(NamedTuple):
    """What a layer's recursion makes of what reached its states."""

    g: ndarray  # (T, B, H): what reached the states from above
    delta: ndarray  # (T, B, H): the gradient of the pre-activations
    carried: ndarray  # (B, H): what the first step hands on


class Layer:
    """One vanilla recurrent layer.

    Attributes:
        W_xh, W_hh, b_h, h0: its parameters, (I, H), (H, H), (H,), (B, H).
        name: the name of the activation.
        tape: the forward pass.
        starts: the steps that begin a chunk in this pass, but for the first.
        runs: the recursion in each pass, by what starts a chunk there.
        model: the same layer without a fault, whose recursion is taken over where nothing differs.
        gradients: of this pass, by name without the layer's.
        first, below: the network's first layer, and the layer below this one.
        d_x: the gradient of the layer's inputs, (T, B, I).
    """

    def __init__(self, W_xh: ndarray, W_hh: ndarray, b_h: ndarray, h0: ndarray, name: str) -> None:
        self.W_xh, self.W_hh, self.b_h, self.h0, self.name = W_xh, W_hh, b_h, h0, name
        self.tape: Tape
        self.gradients: dict[str, ndarray] = {}
        self.starts: frozenset[int] = frozenset()
        self.runs: dict[frozenset[int], Run] = {}
        self.model: Layer | None = None
        self.first: Layer = self
        self.below: Layer | None = None
        self.d_x: ndarray
        self.last_carry: ndarray

    # -- forward -----------------------------------------------------------------------------------------------------

    def activation(self) -> Activation:
        """φ."""
        return ACTIVATIONS[self.name]

    def start(self) -> ndarray:
        """h_0: (B, H)."""
        return self.h0

    def from_inputs(self, x: ndarray) -> ndarray:
        """x_t W_xh + b_h at every step: (T, B, H)."""
        return x @ self.W_xh + self.b_h

    def from_state(self, before: ndarray) -> ndarray:
        """h_{t-1} W_hh: (B, H)."""
        return before @ self.W_hh

    def forward(self, x: ndarray) -> ndarray:
        """Run over x (T, B, I); return the states (T, B, H)."""
        pre = np.array(self.from_inputs(x))  # (T, B, H)
        states = np.empty((len(x) + 1, *pre.shape[1:]), pre.dtype)  # (T + 1, B, H)
        states[0] = self.start()
        value = self.activation().value
        for t in range(len(x)):
            pre[t] += self.from_state(states[t])  # (B, H)
            value(pre[t], states[t + 1])
        self.tape = Tape(x, states[:-1], pre, states[1:])
        return self.tape.after

    # -- backward ----------------------------------------------------------------------------------------------------

    def slope(self) -> ndarray:
        """φ'(a_t) at every step: (T, B, H)."""
        return self.activation().slope_at_value(self.tape.after)

    def first_carry(self) -> ndarray:
        """What the recursion starts from at the last step: (B, H)."""
        return np.zeros_like(self.h0)

    def order(self) -> Iterable[int]:
        """The steps, as the recursion visits them."""
        return reversed(range(len(self.tape.x)))

    def total(self, g: ndarray, carried: ndarray, t: int) -> ndarray:
        """dL/dh_t from above, g_t of g (T, B, H), and from the next step, carried (B, H): (B, H)."""
        del self
        return g[t] + carried

    def through_activation(self, g: ndarray, carried: ndarray, slope: ndarray, t: int) -> ndarray:
        """δ_t: (B, H)."""
        return self.total(g, carried, t) * slope[t]

    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: int) -> ndarray:
        """What δ_t (B, H) hands to the step before: (B, H)."""
        del g, carried, t
        return delta @ self.W_hh.T

    def cuts(self) -> Collection[int]:
        """The steps that hand nothing to the step before, because they start from a constant."""
        return self.starts

    def handed_on(self, delta: ndarray, g: ndarray, carried: ndarray, t: int) -> ndarray:
        """What the step before gets of δ_t (B, H): (B, H)."""
        return np.zeros_like(delta) if t in self.cuts() else self.carry(delta, g, carried, t)

    def recursion(self, g: ndarray) -> tuple[ndarray, ndarray]:
        """δ of every step, (T, B, H), and what reaches the initial state, (B, H), from g (T, B, H)."""
        slope, carried = self.slope(), self.first_carry()
        delta = np.zeros_like(slope)  # (T, B, H)
        for t in self.order():
            delta[t] = self.through_activation(g, carried, slope, t)
            carried = self.handed_on(delta[t], g, carried, t)
        return delta, carried

    def input_operand(self) -> ndarray:
        """What δ is multiplied with for W_xh: (T, B, I)."""
        return self.tape.x

    def state_operand(self) -> ndarray:
        """What δ is multiplied with for W_hh: (T, B, H)."""
        return self.tape.before

    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        """Σ over steps and sequences of operandᵀ δ, or of δ for the bias, whose operand is None."""
        del self, weight
        return summed_products(operand, delta)

    def of_initial_state(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        """The gradient of h_0, (B, H), from δ (T, B, H), g (T, B, H) and what the first step hands on (B, H)."""
        del self, delta, g
        return carried

    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        """The gradient of x, (T, B, I), from δ (T, B, H)."""
        del g
        return delta @ self.W_xh.T

    def backward(self, g: ndarray) -> ndarray:
        """Set every gradient from g (T, B, H), what reaches the states from above; return d_x."""
        known = self.model.runs.get(self.starts) if self.model is not None and self._recurs_alike() else None
        if known is not None and np.array_equal(g, known.g):
            delta, carried = known.delta, known.carried
        else:
            delta, carried = self.recursion(g)
        self.runs[self.starts] = Run(g, delta, carried)
        self.last_carry = carried
        self.gradients = {
            "W_xh": self.accumulated("W_xh", self.input_operand(), delta),
            "W_hh": self.accumulated("W_hh", self.state_operand(), delta),
            "b_h": self.accumulated("b_h", None, delta),
            "h0": self.of_initial_state(delta, g, carried),
        }
        self.d_x = self.of_inputs(delta, g)
        return self.d_x

    @property
    def delta(self) -> ndarray:
        """The gradient of the pre-activations, the sum over all passes: (T, B, H)."""
        first, *others = (run.delta for run in self.runs.values())
        return sum(others, first)

    def _recurs_alike(self) -> bool:
        return all(getattr(type(self), name) is getattr(Layer, name) for name in _RECURSION)


_RECURSION = (
    "activation",
    "slope",
    "first_carry",
    "order",
    "total",
    "through_activation",
    "carry",
    "cuts",
    "handed_on",
    "recursion",
)


class Network:
    """Layers on each other, a readout, a loss.

    Args:
        problem: in the split layout.
        layers: the class of each layer.
    """

    def __init__(self, problem: Problem, layers: tuple[type[Layer], ...]) -> None:
        self.problem = problem
        self.structure: Structure = problem.structure
        self.kinds = layers
        weights = problem.weights
        self.layers = [
            kind(
                weights[f"{block}.W_xh"],
                weights[f"{block}.W_hh"],
                weights[f"{block}.b_h"],
                problem.initial_state[f"{block}.h0"],
                problem.case.activation,
            )
            for kind, block in zip(layers, problem.structure.blocks, strict=True)
        ]
        for n, layer in enumerate(self.layers):
            layer.first, layer.below = self.layers[0], self.layers[n - 1] if n else None
        self.top: ndarray  # (T, B, H)
        self.outputs: ndarray  # (T, B, O)
        self.loss: ndarray
        self.d_outputs: ndarray  # (T, B, O): of the loss
        self.model: Network | None = None  # the same without a fault, if the forward pass is the same

    # -- forward -----------------------------------------------------------------------------------------------------

    def inputs(self) -> ndarray:
        """(T, B, I)."""
        return self.problem.inputs.swapaxes(0, 1)

    def layer_input(self, n: int, below: ndarray) -> ndarray:
        """What layer n reads: (T, B, I), or above the first (T, B, H)."""
        del self, n
        return below

    def read_out(self, top: ndarray) -> ndarray:
        """The outputs, (T, B, O), of the last layer's states (T, B, H)."""
        if not self.has_readout:
            return top
        return top @ self.problem.weights["readout.W_hy"] + self.problem.weights["readout.b_y"]

    def loss_of(self, outputs: ndarray) -> tuple[ndarray, ndarray]:
        """The loss, of shape (), and d_outputs (T, B, O), of outputs (T, B, O)."""
        loss, d_outputs = self.problem.loss(np.ascontiguousarray(outputs.swapaxes(0, 1)))
        return loss, d_outputs.swapaxes(0, 1)

    def forward(self) -> None:
        """Run all layers and the readout."""
        below = self.inputs()
        for n, layer in enumerate(self.layers):
            below = layer.forward(self.layer_input(n, below))
        self.top = below
        self.outputs = self.read_out(below)

    # -- backward ----------------------------------------------------------------------------------------------------

    def upstream(self, d_outputs: ndarray) -> ndarray:
        """The gradient of the outputs that is carried back: (T, B, O)."""
        del self
        return d_outputs

    def readout_operand(self) -> ndarray:
        """What d_outputs is multiplied with for W_hy: (T, B, H)."""
        return self.top

    def through_readout(self, d_outputs: ndarray) -> ndarray:
        """The gradient of the last layer's states: (T, B, H)."""
        return d_outputs @ self.problem.weights["readout.W_hy"].T if self.has_readout else d_outputs

    def accumulated(self, weight: str, operand: ndarray | None, d_outputs: ndarray) -> ndarray:
        """Σ over steps and sequences of operandᵀ d_outputs, or of d_outputs for the bias, whose operand is None."""
        del self, weight
        return summed_products(operand, d_outputs)

    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        """What layer n hands to the layer below, of d_x (T, B, H); d_top (T, B, H) is what reached the last layer."""
        del self, n, d_top
        return d_x

    def backward(self) -> dict[str, ndarray]:
        """Return every gradient, by canonical name and of canonical shape."""
        gradients: dict[str, ndarray] = {}
        if self.model is not None and type(self).loss_of is Network.loss_of:
            self.loss, d_outputs = self.model.loss, self.model.d_outputs
        else:
            self.loss, d_outputs = self.loss_of(self.outputs)
        self.d_outputs = d_outputs
        d_outputs = self.upstream(d_outputs)
        if self.has_readout:
            gradients["readout.W_hy"] = self.accumulated("W_hy", self.readout_operand(), d_outputs)
            gradients["readout.b_y"] = self.accumulated("b_y", None, d_outputs)
        return gradients | self.through_layers(self.through_readout(d_outputs))

    def passes(self) -> tuple[Pass, ...]:
        """The passes over the sequence, of which the gradient is the sum."""
        return passes(self.problem.truncation, self.structure.time)

    def through_layers(self, d_top: ndarray) -> dict[str, ndarray]:
        """Return the gradients of the layers and the inputs, from that of the last layer's states (T, B, H)."""
        total: dict[str, ndarray] = {}
        for each in self.passes():
            counted = g = masked(d_top, each)  # (T, B, H)
            for n in reversed(range(len(self.layers))):
                d_x = self.through_layer(n, g, each, total)  # (T, B, H), or (T, B, I) of the first
                g = self.to_below(n, d_x, counted)
        return total

    def through_layer(self, n: int, g: ndarray, each: Pass, total: dict[str, ndarray]) -> ndarray:
        """Carry g (T, B, H) back through layer n in one pass; add its gradients to the total, and return d_x."""
        layer, block = self.layers[n], self.structure.blocks[n]
        layer.starts = frozenset(first for first, _ in each.chunks if first > 0)
        d_x = layer.backward(g)
        found = {f"{block}.{name}": gradient for name, gradient in layer.gradients.items()}
        if n == 0:
            found["inputs"] = layer.d_x.swapaxes(0, 1)
        for name, gradient in found.items():
            total[name] = total[name] + gradient if name in total else gradient
        return d_x

    @property
    def has_readout(self) -> bool:
        """Whether there is a readout."""
        return self.structure.output is not None

    def tensors(self) -> dict[str, ndarray]:
        """Loss, outputs and every gradient, after ``forward``."""
        gradients = self.backward()
        outputs = self.outputs.swapaxes(0, 1)
        return {"loss": np.asarray(self.loss), "outputs": outputs, **gradients}


def masked(d_top: ndarray, each: Pass) -> ndarray:
    """Return the gradient of the states (T, B, H) at the steps whose loss counts in a pass, and zero elsewhere."""
    return d_top if each.counted.all() else np.where(each.counted[:, None, None], d_top, 0)


def summed_products(operand: ndarray | None, delta: ndarray) -> ndarray:
    """Σ over the first two axes of operandᵀ δ, (K, H) of (T, B, K) and (T, B, H); without an operand Σ δ, (H,)."""
    rows = delta.reshape(-1, delta.shape[-1])  # (T·B, H)
    if operand is None:
        return rows.sum(axis=0)
    return operand.reshape(len(rows), operand.shape[-1]).T @ rows


def right(problem: Problem) -> Network:
    """The network without a fault, its forward pass done."""
    network = Network(problem, (Layer,) * problem.case.layers)
    network.forward()
    return network


def rerun(
    true: Network, network_kind: type[Network], layer_kinds: tuple[type[Layer], ...], *, forward: bool
) -> Mapping[str, ndarray]:
    """Run a network of other kinds on the problem of ``true``; return all its tensors.

    Args:
        true: a network whose both passes are done.
        network_kind: the network's class.
        layer_kinds: each layer's class.
        forward: whether its forward pass is another. If not, that of ``true`` is taken.
    """
    network = network_kind(true.problem, layer_kinds)
    if forward:
        network.forward()
    else:
        for layer, model in zip(network.layers, true.layers, strict=True):
            layer.tape, layer.model = model.tape, model
        network.top, network.outputs, network.model = true.top, true.outputs, true
    return network.tensors()
