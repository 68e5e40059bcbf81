r"""The common parts of the layers of all cells.

The mathematics is that of ``reference_impls``, which has the derivations. A step's pre-activations a_t have a block of
H columns for each gate. On the way back,

    dL/dh_t = g_t + the gradient from the next step                  ``total``
    the gradient of the gates' values, cell by cell                  ``at_values``
    δ_t = that ⊙ the slopes of the gates                             ``through_activation``
    the gradient for the step before, cell by cell                   ``carry``
    dW = Σ_t operandᵀ δ_t                                            ``products``, ``accumulated``

The carried gradient is (B, H); for an lstm it is (2, B, H), the state's and the cell's. A step t may be a slice of
steps, for arrays with time as the axis before the batch: gradients of one age are one call for all steps.

Time first inside: T time, B batch, I input, H hidden, G gates. Everything is computed in the dtype of the input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy import ndarray

from reference_impls.activations import Activation

Step = int | slice
Products = Mapping[str, list[tuple[ndarray | None, ndarray]]]


class BackwardRecursion(NamedTuple):
    """The results of a recursion."""

    g: ndarray  # (T, B, H): the gradient from above
    delta: ndarray  # (T, B, G·H): the gradient of the pre-activations
    arrived: ndarray  # (…, T, B, H): the gradient that each step received from the next
    carried: ndarray  # (…, B, H): the gradient that the first step hands on


SUMS = frozenset({"input_operand", "state_operand", "products", "accumulated"})
"""The methods that compute the weights' gradients from the δ of all steps."""

AFTERWARDS = SUMS | frozenset(
    {
        "backward",
        "of_initial_state",
        "of_initial_cell",
        "of_inputs",
    }
)
"""The methods that compute gradients after the recursion; a fault of these alone leaves the recursion as it is."""


class CellLayer:
    """One recurrent layer.

    Attributes:
        gates: the names of the gates, in the order of their blocks.
        parameters: its weights and initial states, by name without the layer's.
        W_xh, W_hh, b_h, h0: the parameters of every cell, (I, G·H), (H, G·H), (G·H,), (B, H).
        name: the name of the activation.
        cache: the forward pass: x (T, B, I), before and after (T, B, H), pre and values (T, B, G·H), and more by cell.
        slopes: the slope of every gate, (T, B, G·H).
        starts: the steps that begin a chunk in this pass, but for the first.
        recursions: the recursion in each pass, by the steps that start a chunk.
        arrived: the gradient that each step received from the next, in the last pass, (…, T, B, H).
        model: the same layer without a fault; its recursion is reused if nothing differs.
        gradients: of this pass, by name without the layer's.
        first, below, above: the network's first layer, and the layers next to this one.
        d_x: the gradient of the layer's inputs, (T, B, I).
    """

    gates: ClassVar[tuple[str, ...]]

    def __init__(self, parameters: Mapping[str, ndarray], name: str) -> None:
        self.parameters = parameters
        self.W_xh, self.W_hh, self.b_h = (parameters[each] for each in ("W_xh", "W_hh", "b_h"))
        self.h0, self.name = parameters["h0"], name
        self.cache: Any
        self.slopes: ndarray
        self.gradients: dict[str, ndarray] = {}
        self.starts: frozenset[int] = frozenset()
        self.recursions: dict[frozenset[int], BackwardRecursion] = {}
        self.arrived: ndarray
        self.model: CellLayer | None = None
        self.first: CellLayer = self
        self.below: CellLayer | None = None
        self.above: CellLayer | None = None
        self.d_x: ndarray
        self.last_carry: ndarray

    # -- gates -------------------------------------------------------------------------------------------------------

    def block(self, array: ndarray, gate: str) -> ndarray:
        """The columns of a gate, (…, H), of an array (…, G·H): a view."""
        H, k = self.h0.shape[-1], self.gates.index(gate)
        view: ndarray = array[..., k * H : (k + 1) * H]
        return view

    def turned(self, matrix: ndarray) -> ndarray:
        """A matrix (H, G·H) with the block of each gate transposed."""
        return np.concatenate([self.block(matrix, gate).T for gate in self.gates], axis=-1)

    def activation_of(self, gate: str) -> Activation:
        """The nonlinearity of a gate."""
        raise NotImplementedError

    def argument_of(self, gate: str) -> ndarray:
        """The argument of a gate's nonlinearity: (T, B, H)."""
        return self.block(self.cache.pre, gate)

    def value_of(self, gate: str) -> ndarray:
        """The value of a gate's nonlinearity: (T, B, H)."""
        return self.block(self.cache.values, gate)

    def slope_of(self, gate: str) -> ndarray:
        """A gate's derivative at every step: (T, B, H)."""
        return self.activation_of(gate).slope_at_value(self.value_of(gate))

    # -- forward -----------------------------------------------------------------------------------------------------

    def start(self) -> ndarray:
        """h_0: (B, H)."""
        return self.h0

    def next_start(self, after: ndarray) -> ndarray:
        """The state that the next step starts from, given the state after a step: (B, H)."""
        del self
        return after

    def input_weights(self) -> ndarray:
        """W_xh as it is used: (I, G·H)."""
        return self.W_xh

    def recurrent_weights(self) -> ndarray:
        """W_hh as it is used: (H, G·H)."""
        return self.W_hh

    def bias(self) -> ndarray:
        """b_h as it is used: (G·H,)."""
        return self.b_h

    def from_inputs(self, x: ndarray) -> ndarray:
        """x_t W_xh + b_h at every step: (T, B, G·H)."""
        return x @ self.input_weights() + self.bias()

    def forward(self, x: ndarray) -> ndarray:
        """Run over x (T, B, I); return the states (T, B, H)."""
        raise NotImplementedError

    def taken(self, cache: Any) -> Any:
        """The cache of another forward pass, with the parts of it that the way back computes anew."""
        del self
        return cache

    # -- backward ----------------------------------------------------------------------------------------------------

    def slope(self) -> ndarray:
        """The derivative of every gate at every step: (T, B, G·H)."""
        slopes = [self.slope_of(gate) for gate in self.gates]
        return slopes[0] if len(slopes) == 1 else np.concatenate(slopes, axis=-1)

    def prepare(self) -> None:
        """Compute the parts of the forward pass that the recursion needs."""
        self.slopes = self.slope()

    def nothing(self) -> ndarray:
        """A gradient of zero, to be carried: (…, B, H)."""
        return np.zeros_like(self.h0)

    def of_state(self, carried: ndarray) -> ndarray:
        """The state's part of a carried gradient (…, B, H): (B, H)."""
        del self
        return carried

    def to_state(self, gradient: ndarray) -> ndarray:
        """A carried gradient (…, B, H) with the state's part (B, H), and zero elsewhere."""
        del self
        return gradient

    def first_carry(self) -> ndarray:
        """The carried gradient at the last step, where the recursion starts: (…, B, H)."""
        return self.nothing()

    def order(self) -> Iterable[int]:
        """The steps, as the recursion visits them."""
        return reversed(range(len(self.cache.x)))

    def total(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        """dL/dh_t from above, g_t of g (T, B, H), and from the next step, carried (…, B, H): (B, H)."""
        return g[t] + self.of_state(carried)

    def at_values(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        """The gradient of the gates' values: (B, G·H)."""
        raise NotImplementedError

    def through_activation(self, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        """δ_t: (B, G·H)."""
        return self.at_values(g, carried, t) * self.slopes[t]

    def weights_back(self, t: Step) -> ndarray:
        """W_hhᵀ, by which step t carries its gradient back: (G·H, H)."""
        del t
        return self.recurrent_weights().T

    def carry(self, delta: ndarray, g: ndarray, carried: ndarray, t: Step) -> ndarray:
        """The gradient from δ_t (B, G·H) for the step before: (…, B, H)."""
        raise NotImplementedError

    def cuts(self) -> Collection[int]:
        """The steps that hand nothing to the step before, because they start from a constant."""
        return self.starts

    def cut(self, handed: ndarray) -> ndarray:
        """The part of a gradient (…, B, H) that is carried across a cut."""
        del self
        return np.zeros(handed.shape, handed.dtype)

    def handed_on(self, delta: ndarray, g: ndarray, carried: ndarray, t: int) -> ndarray:
        """The gradient from δ_t (B, G·H) that reaches the step before: (…, B, H)."""
        handed = self.carry(delta, g, carried, t)
        return self.cut(handed) if t in self.cuts() else handed

    def recursion(self, g: ndarray) -> BackwardRecursion:
        """Carry g (T, B, H) back through all steps."""
        carried = self.first_carry()
        delta = np.zeros(self.slopes.shape, self.slopes.dtype)  # (T, B, G·H)
        arrived = np.zeros((*carried.shape[:-2], *g.shape), g.dtype)  # (…, T, B, H)
        for t in self.order():
            arrived[..., t, :, :] = carried
            delta[t] = self.through_activation(g, carried, t)
            carried = self.handed_on(delta[t], g, carried, t)
        return BackwardRecursion(g, delta, arrived, carried)

    def input_operand(self) -> ndarray:
        """The factor of δ in the gradient of W_xh: (T, B, I)."""
        x: ndarray = self.cache.x
        return x

    def state_operand(self) -> ndarray:
        """The factor of δ in the gradient of W_hh: (T, B, H)."""
        before: ndarray = self.cache.before
        return before

    def products(self, delta: ndarray) -> Products:
        """The operands of each weight and their factors, from δ (T, B, G·H), column block by block."""
        return {
            "W_xh": [(self.input_operand(), delta)],
            "W_hh": [(self.state_operand(), delta)],
            "b_h": [(None, delta)],
        }

    def accumulated(self, weight: str, operand: ndarray | None, delta: ndarray) -> ndarray:
        """Σ over steps and sequences of operandᵀ δ, or of δ for a bias, which has the operand None."""
        del self, weight
        return summed_products(operand, delta)

    def of_weights(self, delta: ndarray) -> dict[str, ndarray]:
        """The gradients of the weights, from δ (T, B, G·H)."""
        found = {}
        for weight, products in self.products(delta).items():
            parts = [self.accumulated(weight, operand, part) for operand, part in products]
            found[weight] = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        return found

    def of_initial_state(self, delta: ndarray, g: ndarray, carried: ndarray) -> ndarray:
        """The gradient of h_0, (B, H), from δ (T, B, G·H), g (T, B, H) and the last carried gradient (…, B, H)."""
        del delta, g
        return self.of_state(carried)

    def of_initial_states(self, delta: ndarray, g: ndarray, carried: ndarray) -> dict[str, ndarray]:
        """The gradients of all initial states, by name."""
        return {"h0": self.of_initial_state(delta, g, carried)}

    def of_inputs(self, delta: ndarray, g: ndarray) -> ndarray:
        """The gradient of x, (T, B, I), from δ (T, B, G·H)."""
        del g
        return delta @ self.input_weights().T

    def backward(self, g: ndarray) -> ndarray:
        """Set every gradient from g (T, B, H), the gradient from above; return d_x."""
        self.prepare()
        model = self.model
        reuses = model is not None and self.overrides(type(model)) <= AFTERWARDS
        known = model.recursions.get(self.starts) if model is not None and reuses else None
        done = known if known is not None and np.array_equal(g, known.g) else self.recursion(g)
        self.recursions[self.starts] = done
        self.arrived, self.last_carry = done.arrived, done.carried
        self.gradients = self.of_weights(done.delta) | self.of_initial_states(done.delta, g, done.carried)
        self.d_x = self.of_inputs(done.delta, g)
        return self.d_x

    @property
    def delta(self) -> ndarray:
        """The gradient of the pre-activations, the sum over all passes: (T, B, G·H)."""
        first, *others = (recursion.delta for recursion in self.recursions.values())
        return sum(others, first)

    def by_age(self, g: ndarray, ages: int) -> Iterator[tuple[ndarray, ndarray]]:
        """Sort δ by the number of steps between a step and the loss, given the gradient from above, g (T, B, H).

        Yields:
            For each age d, from 0 to ages − 1: δ of the steps that have it, (T − d, B, G·H), and the gradient that the
            first step hands on, (…, B, H).
        """
        T = len(g)
        carried = np.zeros((*self.nothing().shape[:-2], *g.shape), g.dtype)  # (…, T, B, H)
        for d in range(min(ages, T)):
            delta, handed = self.of_age(g if d == 0 else np.zeros_like(g), carried, T - d)
            yield delta, handed[..., 0, :, :]
            carried = handed[..., 1:, :, :]

    def of_age(self, g: ndarray, carried: ndarray, steps: int) -> tuple[ndarray, ndarray]:
        """δ of one age, (steps, B, G·H), and the gradient that each of the first steps hands on, (…, steps, B, H)."""
        t = slice(0, steps)
        delta = self.through_activation(g, carried, t)
        return delta, self.carry(delta, g, carried, t)

    def overrides(self, right: type[CellLayer]) -> frozenset[str]:
        """The methods that differ from those of a layer without a fault, or that such a layer lacks."""
        kinds: tuple[Any, Any] = type(self), right  # to mypy a class is not hashable
        return _overridden(*kinds)


@lru_cache(maxsize=2048)
def _overridden(kind: type[CellLayer], right: type[CellLayer]) -> frozenset[str]:
    own = [each for each in kind.__mro__ if each not in right.__mro__]
    return frozenset(name for each in own for name, value in vars(each).items() if callable(value))


def summed_products(operand: ndarray | None, delta: ndarray) -> ndarray:
    """Σ over the first two axes of operandᵀ δ, (K, H) of (T, B, K) and (T, B, H); without an operand Σ δ, (H,)."""
    rows = delta.reshape(-1, delta.shape[-1])  # (T·B, H)
    if operand is None:
        return rows.sum(axis=0)
    return operand.reshape(len(rows), operand.shape[-1]).T @ rows
