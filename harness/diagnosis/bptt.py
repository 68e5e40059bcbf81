r"""Backpropagation through time in parts, so that a fault replaces one part by another.

The mathematics is that of ``reference_impls``, which has the derivations. Each term is a method: of a layer in
``harness.diagnosis.cells``, or of ``Network`` around the layers. A fault is a subclass that overrides one method.
Several faults at once are a class that inherits from all of them, so an override calls ``super()`` if it can.

A truncated gradient is a sum of passes over the sequence, in which the carried gradient is cut where a chunk begins
(``reference_impls.truncation.passes``). The layers and their faults therefore know only the cuts of a truncation.

Time first inside: T time, B batch, I input, H hidden, O output. Everything is computed in the dtype of the problem.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from harness.diagnosis.cells import CellLayer, layer_kind, summed_products
from harness.problem import Problem
from harness.tensors import Structure, kind_of
from reference_impls.truncation import Pass, passes


class Network:
    """Layers on each other, a readout, a loss.

    Args:
        problem: in the split layout.
        layers: the class of each layer.
    """

    def __init__(self, problem: Problem, layers: tuple[type[CellLayer], ...]) -> None:
        self.problem = problem
        self.structure: Structure = problem.structure
        self.kinds = layers
        given = {**problem.weights, **problem.initial_state}
        self.layers = [
            kind(
                {kind_of(name): given[name] for name in given if name.startswith(f"{block}.")}, problem.case.activation
            )
            for kind, block in zip(layers, problem.structure.blocks, strict=True)
        ]
        for n, layer in enumerate(self.layers):
            layer.first, layer.below = self.layers[0], self.layers[n - 1] if n else None
            layer.above = self.layers[n + 1] if n + 1 < len(self.layers) else None
        self.top: ndarray  # (T, B, H)
        self.outputs: ndarray  # (T, B, O)
        self.loss: ndarray
        self.d_outputs: ndarray  # (T, B, O): of the loss
        self.visits = 1  # how often the recursion is run
        self.model: Network | None = None  # one with fewer faults or none, if the forward pass is the same

    # -- forward -----------------------------------------------------------------------------------------------------

    def inputs(self) -> ndarray:
        """(T, B, I)."""
        return self.problem.inputs.swapaxes(0, 1)

    def layer_input(self, n: int, below: ndarray) -> ndarray:
        """The input of layer n: (T, B, I), or above the first (T, B, H)."""
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
        """The factor of d_outputs in the gradient of W_hy: (T, B, H)."""
        return self.top

    def through_readout(self, d_outputs: ndarray) -> ndarray:
        """The gradient of the last layer's states: (T, B, H)."""
        return d_outputs @ self.problem.weights["readout.W_hy"].T if self.has_readout else d_outputs

    def accumulated(self, weight: str, operand: ndarray | None, d_outputs: ndarray) -> ndarray:
        """Σ over steps and sequences of operandᵀ d_outputs; of d_outputs for the bias, which has the operand None."""
        del self, weight
        return summed_products(operand, d_outputs)

    def to_below(self, n: int, d_x: ndarray, d_top: ndarray) -> ndarray:
        """The gradient from d_x (T, B, H) for the layer below layer n; d_top (T, B, H) reached the last layer."""
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
        every = self.passes()
        self.visits = len(every)
        for each in every:
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

    def through_layers_by_age(self, d_top: ndarray, ages: int) -> dict[str, ndarray]:
        """Return ``through_layers`` for a full gradient with losses carried back over fewer than ``ages`` steps.

        All steps of one age are one call of each layer; passes would visit every step for each age.
        """
        T = len(d_top)
        for layer in self.layers:
            layer.prepare()
        deltas = [np.zeros_like(layer.slopes) for layer in self.layers]  # (T, B, G·H) each
        starts = [layer.nothing() for layer in self.layers]  # (…, B, H) each: the gradient that the first step hands on
        carried = [np.zeros((*start.shape[:-2], T, *start.shape[-2:]), start.dtype) for start in starts]
        for d in range(min(ages, T)):
            g = d_top if d == 0 else np.zeros_like(d_top[: T - d])  # (T − d, B, H)
            for n in reversed(range(len(self.layers))):
                delta, handed = self.layers[n].of_age(g, carried[n], T - d)
                deltas[n][: T - d] += delta
                starts[n] = starts[n] + handed[..., 0, :, :]
                carried[n] = handed[..., 1:, :, :]
                if n > 0:
                    g = self.layers[n].of_inputs(delta, g)
        found: dict[str, ndarray] = {}
        # Where upper layers are left out, there are fewer than blocks.
        for layer, block, delta, start in zip(self.layers, self.structure.blocks, deltas, starts, strict=False):
            gradients = layer.of_weights(delta) | layer.of_initial_states(delta, d_top, start)
            found |= {f"{block}.{name}": gradient for name, gradient in gradients.items()}
        inputs = self.layers[0].of_inputs(deltas[0], d_top)  # (T, B, I)
        return {**found, "inputs": inputs.swapaxes(0, 1)}

    @property
    def has_readout(self) -> bool:
        """Return whether there is a readout."""
        return self.structure.output is not None

    def tensors(self) -> dict[str, ndarray]:
        """Loss, outputs and every gradient, after ``forward``."""
        gradients = self.backward()
        outputs = self.outputs.swapaxes(0, 1)
        return {"loss": np.asarray(self.loss), "outputs": outputs, **gradients}


def masked(d_top: ndarray, each: Pass) -> ndarray:
    """Return the gradient of the states (T, B, H) at the steps that a pass's loss counts, and zero elsewhere."""
    return d_top if each.counted.all() else np.where(each.counted[:, None, None], d_top, 0)


def right(problem: Problem) -> Network:
    """The network without a fault, its forward pass done."""
    network = Network(problem, (layer_kind(problem.structure),) * problem.case.layers)
    network.forward()
    return network


def rerun(
    true: Network, network_kind: type[Network], layer_kinds: tuple[type[CellLayer], ...], *, forward: bool
) -> Mapping[str, ndarray]:
    """Run a network of other kinds on the problem of ``true``; return all its tensors. Arguments as for ``anew``."""
    return anew(true, network_kind, layer_kinds, forward=forward).tensors()


def anew(
    true: Network, network_kind: type[Network], layer_kinds: tuple[type[CellLayer], ...], *, forward: bool
) -> Network:
    """Make a network of other kinds for the problem of ``true``, its forward pass done.

    Args:
        true: a network after both passes.
        network_kind: the network's class.
        layer_kinds: each layer's class.
        forward: whether its forward pass is another. If not, it takes that of ``true``.
    """
    network = network_kind(true.problem, layer_kinds)
    if forward:
        network.forward()
    else:
        for layer, model in zip(network.layers, true.layers, strict=True):
            layer.cache, layer.model = model.cache, model
        network.top, network.outputs, network.model = true.top, true.outputs, true
    return network
