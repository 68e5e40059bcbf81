"""``keras-optimizer``: a training with Keras alone - keras.layers.RNN, GradientTape, keras.optimizers.

This implementation follows the case wherever Keras differs from it. For each difference a twin, which takes part only
when named, leaves Keras as it is:

    keras-epsilon   keras.optimizers.Adam adds ε to √v where the paper's algorithm 1 adds it to √(v / (1 − β₂ᵗ)), and
                    its default is 1e-7. Here ε is set before each update to the equivalent value.
    keras-float32   An optimiser keeps its learning rate in float32 for any dtype, and computes Adam's corrections from
                    β₁ and β₂ in float32, where 1 − β₂ is off by 1.3e-5 of itself. Here the rate has the dtype of the
                    case, since Keras is set to it when the optimiser is made, and compensates for the corrections.

A gru whose reset is after the product has two biases that are only added in z and r; there the second is not trained.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.derive.truncated import pieces
from harness.implementations.base import Implementation, Returned, implementation
from harness.implementations.keras_rnn import KERAS, layers, variables
from harness.implementations.own_optimiser import loop_of, masks_of, optimizer_of, train
from harness.implementations.tensorflow_losses import loss_of
from harness.problem import Batches, Problem
from harness.tensors import STATES

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8

WORTH_COMPILING = 60
"""Minimum number of steps for compilation; tracing and compiling one step takes as long as running so many."""


class _KerasNetwork:
    """Keras' layers with a problem's weights, and its optimiser.

    Args:
        problem: The problem, in the keras layout.
        paper_epsilon: True if Adam's ε is equivalent to the paper's.
        exact_rate: True if the learning rate has the case's dtype and compensates for Adam's rounded corrections.
    """

    def __init__(self, problem: Problem, *, paper_epsilon: bool, exact_rate: bool) -> None:
        import tensorflow as tf

        case, structure = problem.case, problem.structure
        self.training, self.structure = loop_of(problem), structure
        self.layers = layers(structure, case.activation, case.dtype, zero_past_ends=True)
        self.variables = variables(self.layers, structure)
        for name, variable in self.variables.items():
            variable.assign(problem.weights[name])
        masks = masks_of(problem)
        for name, mask in masks.items():
            if mask.ndim == 2 and name.endswith(".bias"):
                mask[1, : 2 * structure.hidden] = 0
        self.masks = {name: tf.constant(mask) for name, mask in masks.items()}
        kind, lr = optimizer_of(self.training)
        self.exact_correction = exact_rate and kind == "adam"
        self.optimizer = _optimizer(kind, lr, case.dtype if exact_rate else "float32", self._clipping)
        self.epsilon: Any = None
        if paper_epsilon and kind == "adam":
            self.epsilon = self.optimizer.epsilon = tf.Variable(EPSILON, dtype=case.dtype)
        self.optimizer.build(list(self.variables.values()))
        self.gradients: dict[str, Any] = {}
        self.carried: Any = None
        like_all = Batches(problem).of_step(0, problem.weights)  # all steps' problems differ in their arrays alone

        def step(inputs: Any, targets: Any, initial: Any) -> dict[str, Any]:
            return self.run(like_all, inputs, targets, initial)

        compiled = self.training["steps"] > WORTH_COMPILING
        self.step = tf.function(step) if compiled else step
        self.apply = tf.function(self.optimizer.apply) if compiled else self.optimizer.apply

    @property
    def _clipping(self) -> dict[str, float]:
        """Return the optimiser's own clipping: it takes one limit, so of two the second one, by norm."""
        by_value, by_norm = self.training.get("clip_value"), self.training.get("clip_norm")
        if by_norm is not None:
            return {"global_clipnorm": by_norm}
        return {} if by_value is None else {"clipvalue": by_value}

    def initial(self, problem: Problem) -> Any:
        """Return the initial states of a problem, (B, H) each, by layer."""
        import tensorflow as tf

        names = STATES[self.structure.cell]
        return [
            [tf.constant(problem.initial_state[f"{block}.{name}"]) for name in names] for block in self.structure.blocks
        ]

    def run(self, problem: Problem, inputs: Any, targets: Any, initial: Any) -> dict[str, Any]:
        """Return loss (), outputs (B, T, H) or (B, T, O), last states, and gradients by weight, state and inputs."""
        import tensorflow as tf

        def some(first: int, last: int, state: Any) -> tuple[Any, Any]:
            outputs, ended = inputs[:, first:last], []
            for block, before in zip(self.structure.blocks, state, strict=True):
                outputs, *after = self.layers[block](outputs, initial_state=before)  # (B, last - first, H), (B, H) each
                ended.append(after)
            return outputs, ended

        def constant(state: Any) -> Any:
            return [[tf.stop_gradient(each) for each in of_layer] for of_layer in state]

        with tf.GradientTape() as tape:
            tape.watch([inputs, initial])
            T = self.structure.time
            outputs = tf.concat(pieces(problem.truncation, T, initial, some, constant), 1)  # (B, T, H)
            if "readout" in self.layers:
                outputs = self.layers["readout"](outputs)  # (B, T, O)
            loss = loss_of(replace(problem, targets=targets), outputs)
        weights = {name: each.value for name, each in self.variables.items()}
        sources = {"weights": weights, "initial": initial, "inputs": inputs}
        gradients = tape.gradient(loss, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        last = some(0, T, initial)[1] if self.training.get("carry_state") else initial
        return {"loss": loss, "outputs": outputs, "last": last, **gradients}

    def differentiate(self, of_step: Problem) -> float:
        """Run a step's sequences and keep the gradients."""
        import tensorflow as tf

        initial = self.carried or self.initial(of_step)
        found = self.step(tf.constant(of_step.inputs), tf.constant(of_step.targets), initial)
        self.gradients = {name: each * self.masks[name] for name, each in found["weights"].items()}
        if self.training.get("carry_state"):
            self.carried = found["last"]
        return float(found["loss"])

    def update(self, lr: float) -> float:
        """Clip the gradients and update the weights by Keras' optimiser."""
        import tensorflow as tf

        norm = float(tf.linalg.global_norm(list(self.gradients.values())))
        by_value = self.training.get("clip_value")
        if by_value is not None and "global_clipnorm" in self._clipping:
            self.gradients = {n: tf.clip_by_value(each, -by_value, by_value) for n, each in self.gradients.items()}
        t = int(self.optimizer.iterations) + 1
        if self.epsilon is not None:
            self.epsilon.assign(EPSILON * (1 - BETA_2**t) ** 0.5)
        exactly = (1 - BETA_2**t) ** 0.5 / (1 - BETA_1**t)
        self.optimizer.learning_rate = lr * exactly / self.correction(t) if self.exact_correction else lr
        self.apply([self.gradients[name] for name in self.variables])
        return norm

    def correction(self, t: int) -> float:
        """Return √(1 − β₂ᵗ) / (1 − β₁ᵗ) as Keras computes it."""
        from keras import ops

        dtype = next(iter(self.variables.values())).dtype
        power_1, power_2 = (ops.power(ops.cast(beta, dtype), ops.cast(t, dtype)) for beta in (BETA_1, BETA_2))
        return float(ops.sqrt(1 - power_2) / (1 - power_1))


def _optimizer(kind: str, lr: float, dtype: str, clipping: dict[str, float]) -> Any:
    """Make an optimiser with a learning rate of a dtype."""
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        return {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[kind](learning_rate=lr, **clipping)
    finally:
        keras.config.set_floatx(before)


def _trained(name: str, about: str, *, only_named: bool = False, **differently: bool) -> Implementation:
    """Make an implementation that trains with Keras' optimisers and follows the case, except for ``differently``."""

    def function(problem: Problem) -> Returned:
        import tensorflow as tf

        network = _KerasNetwork(problem, **{"paper_epsilon": True, "exact_rate": True, **differently})
        inputs, targets = tf.constant(problem.inputs), tf.constant(problem.targets)
        found = network.run(problem, inputs, targets, network.initial(problem))
        answer = {each: found[each].numpy() for each in ("loss", "outputs", "inputs")}
        answer |= {each: gradient.numpy() for each, gradient in found["weights"].items()}
        for block, of_layer in zip(problem.structure.blocks, found["initial"], strict=True):
            names = STATES[problem.structure.cell]
            answer |= {f"{block}.{each}": d.numpy() for each, d in zip(names, of_layer, strict=True)}
        answer |= train(problem, network)
        return answer | {f"trained.{each}": weight.numpy() for each, weight in network.variables.items()}

    function.__doc__ = about
    return implementation(
        name,
        layout="keras",
        framework=KERAS,
        supports={"cell": ("rnn", "lstm", "gru")},
        complete=True,
        own_optimiser=True,
        only_named=only_named,
    )(function)


keras_optimizer = _trained("keras-optimizer", "Keras alone: its layers, GradientTape, and keras.optimizers.")
keras_epsilon = _trained(
    "keras-epsilon",
    "keras-optimizer with Adam's epsilon as Keras has it: 1e-7, beside the root that is not yet corrected.",
    only_named=True,
    paper_epsilon=False,
)
keras_float32 = _trained(
    "keras-float32",
    "keras-optimizer with the learning rate, and Adam's corrections, as Keras has them: in float32 for all.",
    only_named=True,
    exact_rate=False,
)
