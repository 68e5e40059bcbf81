"""Weights of gated cells as another framework keeps them, read without converting; biases forgotten or folded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy import ndarray
from typing_extensions import override

from benchmarks.spellings.base import Spelling, Tensors, among, with_weights
from harness.layout.gates import back, reordered
from harness.problem import Problem
from harness.tensors import GATES
from reference_impls.activations import ACTIVATIONS, Activation


def _weights_of_layers(tensors: Tensors) -> Tensors:
    return dict(among(tensors, "W_xh", "W_hh", "b_h"))


class _OfCell(Spelling):
    cells: tuple[str, ...]

    @override
    def obstacle(self, problem: Problem) -> str:
        return "" if problem.case.cell in self.cells else f"the cell is no {' or '.join(self.cells)}"

    def block(self, tensor: ndarray, gate: int, problem: Problem) -> ndarray:
        """Return the block of one gate, a view."""
        H = problem.structure.hidden
        return tensor[..., gate * H : (gate + 1) * H]


class _Reordered(_OfCell):
    """The blocks of gates stand in another order in the weights than the cell takes them."""

    order: tuple[int, ...]

    @override
    def given(self, problem: Problem) -> Problem:
        mine = _weights_of_layers(dict(problem.weights))
        return with_weights(problem, {name: reordered(tensor, self.order) for name, tensor in mine.items()})

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        mine = _weights_of_layers(tensors)
        return tensors | {name: reordered(tensor, back(self.order)) for name, tensor in mine.items()}


class GatesInOrderOfTensorflow1(_Reordered):
    """An lstm's weights are in the order i, j, f, o of TensorFlow 1, and read as i, f, g, o."""

    cells = ("lstm",)
    order = (0, 2, 1, 3)


class GatesInOrderOfKeras(_Reordered):
    """A gru's weights are in the order z, r, h of Keras, and read as r, z, n."""

    cells = ("gru",)
    order = (1, 0, 2)


class GatesInOrderOfOnnx(_Reordered):
    """An lstm's weights are in the order i, o, f, c of ONNX, and read as i, f, g, o."""

    cells = ("lstm",)
    order = (0, 3, 1, 2)


class _ForgetBias(_OfCell):
    cells = ("lstm",)
    more: float

    @override
    def given(self, problem: Problem) -> Problem:
        biases = {name: tensor.copy() for name, tensor in among(dict(problem.weights), "b_h")}
        for bias in biases.values():
            self.block(bias, 1, problem)[...] += bias.dtype.type(self.more)
        return with_weights(problem, biases)


class ForgetBiasLeftOut(_ForgetBias):
    """The forget bias of 1 that TensorFlow 1 adds at run time is not added when its weights are exported."""

    more = -1.0


class ForgetBiasTwice(_ForgetBias):
    """A forget bias of 1 is added to a bias that has it already."""

    more = 1.0


class OneOfTwoBiases(Spelling):
    """Only the first of torch's two biases is used; here the two are 2b and −b."""

    @override
    def given(self, problem: Problem) -> Problem:
        return with_weights(problem, {name: 2 * tensor for name, tensor in among(dict(problem.weights), "b_h")})


class RecurrentBiasFolded(_OfCell):
    """A gru's recurrent bias b_hn is added to the candidate's b_h, outside the reset gate."""

    cells = ("gru",)

    @override
    def obstacle(self, problem: Problem) -> str:
        return super().obstacle(problem) or ("" if problem.structure.has_recurrent_bias else "there is no b_hn")

    @override
    def given(self, problem: Problem) -> Problem:
        changed: Tensors = {}
        for name, b_hn in among(dict(problem.weights), "b_hn"):
            b_h = problem.weights[name.removesuffix("n")].copy()  # (3H,)
            self.block(b_h, 2, problem)[...] += b_hn
            changed |= {name: np.zeros_like(b_hn), name.removesuffix("n"): b_h}
        return with_weights(problem, changed)

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        for name, _ in list(among(tensors, "b_hn")):
            tensors[name] = self.block(tensors[name.removesuffix("n")], 2, problem).copy()
        return tensors


class RecurrentBiasLeftOut(_OfCell):
    """A gru's recurrent bias b_hn is taken for zero, as where a single bias is expected."""

    cells = ("gru",)

    @override
    def obstacle(self, problem: Problem) -> str:
        return super().obstacle(problem) or ("" if problem.structure.has_recurrent_bias else "there is no b_hn")

    @override
    def given(self, problem: Problem) -> Problem:
        biases = among(dict(problem.weights), "b_hn")
        return with_weights(problem, {name: np.zeros_like(bias) for name, bias in biases})


class ResetOnTheOtherSide(_OfCell):
    """A gru's reset gate is applied before the recurrent product where it belongs after it, or the other way round."""

    cells = ("gru",)

    @override
    def given(self, problem: Problem) -> Problem:
        other = "before" if problem.case.reset == "after" else "after"
        biases = {
            name.replace("b_h", "b_hn"): np.zeros(problem.structure.hidden, bias.dtype)
            for name, bias in among(dict(problem.weights), "b_h")
        }
        weights = dict(problem.weights)
        if other == "after":
            weights |= biases
        else:
            weights = {name: tensor for name, tensor in weights.items() if name not in biases}
        return replace(problem, case=replace(problem.case, reset=other), weights=weights)

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(".b_hn")}
        missing = set(problem.structure.gradients) - set(tensors)
        return tensors | {name: np.zeros_like(problem.weights[name]) for name in missing}


class UpdateGateTurnedRound(_OfCell):
    """A gru's 1 − z keeps the old state and z takes the new one, as in Chung et al., where z keeps the old one here."""

    cells = ("gru",)

    def _turned(self, tensors: Tensors, problem: Problem) -> Tensors:
        found = {name: tensor.copy() for name, tensor in _weights_of_layers(tensors).items()}
        for tensor in found.values():
            self.block(tensor, 1, problem)[...] *= -1  # σ(−a) = 1 − σ(a)
        return tensors | found

    @override
    def given(self, problem: Problem) -> Problem:
        return with_weights(problem, self._turned(dict(problem.weights), problem))

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        return self._turned(tensors, problem)


class BlocksOfRecurrentWeightsTransposed(_OfCell):
    """The block of each gate in W_hh is transposed, as where weights that stand output-first are stacked by gate."""

    cells = ("lstm", "gru")

    def _turned(self, tensors: Tensors, problem: Problem) -> Tensors:
        G = GATES[problem.case.cell]
        turned = {
            name: np.concatenate([block.T for block in np.split(tensor, G, axis=1)], axis=1)
            for name, tensor in among(tensors, "W_hh")
        }
        return tensors | turned

    @override
    def given(self, problem: Problem) -> Problem:
        return with_weights(problem, self._turned(dict(problem.weights), problem))

    @override
    def returned(self, tensors: Tensors, problem: Problem) -> Tensors:
        return self._turned(tensors, problem)


class InitialCellLeftOut(_OfCell):
    """An lstm is given its initial hidden state and starts from a cell of zeros."""

    cells = ("lstm",)

    @override
    def given(self, problem: Problem) -> Problem:
        cells = {name: np.zeros_like(state) for name, state in among(dict(problem.initial_state), "c0")}
        return replace(problem, initial_state={**problem.initial_state, **cells})


class CellClippedAt3(_OfCell):
    """An lstm's cell is clipped into ±3 at each step, an option of several frameworks that was left on; the gradient
    knows nothing of it.
    """

    cells = ("lstm",)

    @override
    def activation(self, name: str, *, gate: bool) -> Activation:
        right = ACTIVATIONS[name]

        def value(a: ndarray, out: ndarray) -> ndarray:
            if not np.shares_memory(a, out):  # the cell; the pre-activation of a gate is overwritten
                np.clip(a, -3, 3, out=a)
            return right.value(a, out)

        return right if gate else right._replace(value=value)
