"""The fields of a case: the keys of a case file with their types, meanings and defaults.

This is the one definition of the format. The validator reads the types. ``harness schema`` reads the types and the
texts under the fields. Code that uses a case reads its attributes. The module imports the standard library and the
markers of annotated-types alone, so a worker can use a case without loading a validator.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Required

from annotated_types import Ge, Gt, Len
from typing_extensions import TypedDict

from harness.case.alternatives import ChosenBy
from harness.tensors import GATES, RecurrenceStructure, Structure

STRICT: dict[str, Any] = {
    "extra": "forbid",
    "strict": True,
    "allow_inf_nan": False,
    "use_attribute_docstrings": False,
}
"""Pydantic's configuration for these classes: a plain dictionary, so that pydantic need not be imported.

Only the JSON Schema asks for the docstrings of attributes, since reading them takes a quarter of a second.
"""

CELLS = tuple(GATES)
"""The cells of networks. Any other cell of a case is a recurrence."""

Size = Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0)]
NonNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]


class Fill(TypedDict):
    """The same number in every element."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    fill: float
    """The value of every element."""


class Uniform(TypedDict):
    """Random numbers, uniform in [low, high); whole numbers from low to high − 1 for a tensor of labels."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    uniform: tuple[float, float]
    """[low, high]"""
    seed: NotRequired[Seed]
    """0 unless given. Each tensor draws from a stream of its own, so one seed serves all."""


class Normal(TypedDict):
    """Random numbers from the normal distribution around zero."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    normal: NonNegative
    """The standard deviation."""
    seed: NotRequired[Seed]
    """0 unless given. Each tensor draws from a stream of its own, so one seed serves all."""


class Values(TypedDict):
    """Numbers that are written out."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    values: list[Any]
    """Nested lists of numbers, of the tensor's shape."""


class ArrayFile(TypedDict):
    """An array in an .npz file in the case file's folder or below it. Pickled objects are refused."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    file: str
    """The path, from the case file's folder."""
    key: str
    """The array's name in the file."""


class OneHot(TypedDict):
    """A 1 in each row and zeros elsewhere."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    one_hot: list[Any]
    """Nested lists of positions, of the tensor's shape without its last dimension."""


NativeWeights = TypedDict(
    "NativeWeights",
    {"from": Required[Literal["torch", "keras", "tf1"]], "seed": NotRequired[Seed]},
)
"""A framework's own initialisation, copied out of it."""
NativeWeights.__pydantic_config__ = STRICT  # type: ignore[attr-defined]


class Checkpoint(TypedDict):
    """The weights of recurrent layers in a framework's file. No code in it runs, and pickled objects are refused."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    checkpoint: str
    """The path, from the case file's folder: .pt, .pth, .safetensors, .keras, .weights.h5, .h5, .npz, .index of
    TensorFlow 1, or .index.json for several files. Any of these may have another name."""
    layout: NotRequired[Literal["split", "torch", "keras", "tf1"]]
    """The layout of its tensors. By default, the layout follows from the file's format or the tensors' names."""
    layer: NotRequired[str]
    """The recurrent layers to read, if the file has several: their path in the file or its end, such as encoder.rnn;
    or several paths, from the inputs up, separated by commas."""
    readout: NotRequired[str]
    """The linear layer that is the readout, if several fit."""
    ignore: NotRequired[list[str]]
    """The names of tensors in the file, besides the layers, that do not affect them. Any other tensor besides the
    layers is a mistake."""
    forget_bias: NotRequired[float]
    """The number that TensorFlow 1's lstm adds to its forget gate at run time; default 1. No file contains it."""


class BoundFields(TypedDict, total=False):
    """A bound: |actual − expected| may be at most atol + rtol·|expected|. One that is left out is 0."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    rtol: NonNegative
    """Relative to each expected element."""
    atol: NonNegative
    """Absolute."""


class PublishedGradient(TypedDict):
    """A printed gradient, or a part of one."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    tensor: str
    """The tensor's name, such as layer0.W_xh."""
    at: NotRequired[list[int]]
    """The first indices of the printed part; the whole tensor unless given."""
    values: Any
    """Nested lists of numbers, of the shape of that part. Their digits count: 0.50 was printed to two places."""


class Published(TypedDict):
    """Gradients that were printed somewhere."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    source: str
    """The place where they were printed."""
    gradients: Annotated[list[PublishedGradient], Len(1)]
    """Each tensor, or each part of one."""


class DetachFields(TypedDict):
    """A truncation that carries the state from step to step, but cuts its gradient every k steps, in every layer."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: Literal["detach"]
    """A cut between chunks."""
    every: Annotated[int, Ge(1)]
    """k: the gradient from step t to the step before is cut if t > 0 is a multiple of k; t is counted from 0."""


class WindowFields(TypedDict):
    """A truncation in which the loss of each step reaches k steps back, in every layer, and no further."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: Literal["window"]
    """A reach for each step's loss."""
    steps: Annotated[int, Ge(0)]
    """k: the loss of step t reaches its own step and the k before it. If that includes step 0, it also reaches the
    initial state."""


class SGDOptions(TypedDict):
    """The options of gradient descent."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    lr: Positive
    """The learning rate."""


class SGD(TypedDict):
    """Gradient descent: w ← w − lr · g."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    sgd: SGDOptions
    """Its options."""


class AdamOptions(TypedDict):
    """The options of Adam; β₁ is 0.9, β₂ 0.999, ε 1e-8."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    lr: Positive
    """The learning rate, α."""


class Adam(TypedDict):
    """Adam as in its paper (Kingma and Ba 2015, algorithm 1): ε is outside the bias-corrected root."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    adam: AdamOptions
    """Its options."""


OPTIMIZERS = ("sgd", "adam")


def optimizer_kind(data: Any) -> str | None:
    """Return the name of the optimizer that ``data`` means; None if it is none of ``OPTIMIZERS``."""
    return next((kind for kind in OPTIMIZERS if kind in data), None) if isinstance(data, dict) else None


if TYPE_CHECKING:
    Optimizer = SGD | Adam
else:
    Optimizer = Annotated[
        Any, ChosenBy(optimizer_kind, {"sgd": SGD, "adam": Adam}, "{sgd: {lr: 0.01}} or {adam: {lr: 0.01}}")
    ]


class Training(TypedDict):
    """A training loop that starts from the case's weights, with each implementation's own gradients.

    Step s computes the loss of its sequences, under the weights after s updates, and the gradient of that loss. It
    limits each element of the gradient by ``clip_value``, then its norm by ``clip_norm``. Then the optimizer updates
    the weights. Initial states and inputs are not trained.
    """

    __pydantic_config__ = STRICT  # type: ignore[misc]
    steps: Size
    """The number of steps."""
    optimizer: Optimizer
    """The rule that computes new weights from weights and gradients."""
    clip_value: NotRequired[Positive]
    """The maximum magnitude of each element of the gradient; larger elements are cut off."""
    clip_norm: NotRequired[Positive]
    """The maximum norm of the gradients of all trained weights together; if it is larger, all are scaled down."""
    halve_lr_when_loss_rises: NotRequired[bool]
    """Halve the learning rate whenever the loss of a pass over all sequences (the sum of its steps' losses) is above
    that of the pass before. The last update of the pass has the new rate already. Without batch, each step is a
    pass."""
    batch: NotRequired[Size]
    """The number of sequences in a step: the first ones, then the next, and so on from the top again. It must divide
    sizes.batch; default all."""
    carry_state: NotRequired[bool]
    """Start each step but the first with the last states of the step before, as constants."""
    frozen: NotRequired[list[str]]
    """The weights that are not trained, by name."""


SPEC_WORDS = ("zeros", "ones")
_SPECS = {"fill": Fill, "uniform": Uniform, "normal": Normal, "values": Values, "file": ArrayFile, "one_hot": OneHot}
SPEC_KEYS = tuple(_SPECS)
EXPECTED_SPEC = (
    "an array spec: zeros, ones, {fill: 0.5}, {uniform: [-0.1, 0.1], seed: 1}, {normal: 1.0, seed: 1}, "
    "{values: [[...]]}, {file: x.npz, key: W} or {one_hot: [[...]]}"
)


def spec_kind(data: Any) -> str | None:
    """Return the kind of array spec that ``data`` means: ``word`` or a key of it; None if it is no array spec."""
    if isinstance(data, str):
        return "word" if data in SPEC_WORDS else None
    return next((key for key in SPEC_KEYS if key in data), None) if isinstance(data, dict) else None


def _specs_kind(data: Any) -> str | None:
    return "by name" if spec_kind(data) is None and _holds_specs(data) else spec_kind(data)


def _weights_kind(data: Any) -> str | None:
    by_key = {"from": "native", "checkpoint": "checkpoint"}
    found = (kind for key, kind in by_key.items() if isinstance(data, dict) and key in data)
    return next(found, None) or _specs_kind(data)


def made_elsewhere(weights: Any) -> bool:
    """Return whether ``weights`` names a source of the weights, and not the numbers of each tensor."""
    return _weights_kind(weights) in ("native", "checkpoint")


def _holds_specs(data: Any) -> bool:
    """Return whether ``data`` is a mapping of tensors to specs, even if all of its keys are misspelt."""
    return isinstance(data, dict) and any(isinstance(value, str | dict) for value in data.values())


def _tolerance_kind(data: Any) -> str | None:
    if not isinstance(data, dict):
        return None
    return "by name" if any(isinstance(value, dict) for value in data.values()) else "bound"


TRUNCATIONS = ("none", "detach", "window")


def truncation_kind(data: Any) -> str | None:
    """Return the kind of truncation that ``data`` means, one of ``TRUNCATIONS``; None if it is none of them."""
    kind = data.get("kind") if isinstance(data, dict) else data
    return kind if kind in TRUNCATIONS and isinstance(data, dict) == (kind != "none") else None


def training_kind(data: Any) -> str | None:
    """Return the kind of training that ``data`` means, ``none`` or ``loop``; None if it is neither."""
    return "none" if data == "none" else "loop" if isinstance(data, dict) else None


def _steps_kind(data: Any) -> str | None:
    return "all" if data == "all" else "list" if isinstance(data, list) else None


_SPEC_MEMBERS: dict[str, Any] = {"word": Literal["zeros", "ones"], **_SPECS}
if TYPE_CHECKING:
    # A mapping has the keys of one of the classes above.
    ArraySpec = Literal["zeros", "ones"] | dict[str, Any]
    ArraySpecs = ArraySpec
    Weights = ArraySpec
    Tolerance = dict[str, Any]
    Steps = Literal["all"] | tuple[int, ...]
    Truncation = Literal["none"] | DetachFields | WindowFields
    TrainingOrNone = Literal["none"] | Training
else:
    ArraySpec = Annotated[Any, ChosenBy(spec_kind, _SPEC_MEMBERS, EXPECTED_SPEC)]
    _NAMED = {"by name": dict[str, ArraySpec]}
    ArraySpecs = Annotated[
        Any, ChosenBy(_specs_kind, _SPEC_MEMBERS | _NAMED, f"{EXPECTED_SPEC}; or one for each tensor by name")
    ]
    Weights = Annotated[
        Any,
        ChosenBy(
            _weights_kind,
            _SPEC_MEMBERS | _NAMED | {"native": NativeWeights, "checkpoint": Checkpoint},
            f"{EXPECTED_SPEC}; or one for each tensor by name; or {{from: torch, seed: 0}}; "
            "or {checkpoint: model.pt}",
        ),
    ]
    Tolerance = Annotated[
        Any,
        ChosenBy(
            _tolerance_kind, {"bound": BoundFields, "by name": dict[str, BoundFields]}, "{rtol: 1e-7, atol: 1e-9}"
        ),
    ]
    Steps = Annotated[
        Any, ChosenBy(_steps_kind, {"all": Literal["all"], "list": Annotated[tuple[int, ...], Len(1)]}, "all or a list")
    ]
    Truncation = Annotated[
        Any,
        ChosenBy(
            truncation_kind,
            {"none": Literal["none"], "detach": DetachFields, "window": WindowFields},
            "none, {kind: detach, every: 5} or {kind: window, steps: 4}",
        ),
    ]
    TrainingOrNone = Annotated[
        Any,
        ChosenBy(
            training_kind,
            {"none": Literal["none"], "loop": Training},
            "none or {steps: 10, optimizer: {sgd: {lr: 0.01}}}",
        ),
    ]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a case."""

    __pydantic_config__ = STRICT
    batch: Size
    """B, sequences in the batch."""
    time: Size
    """T, steps in a sequence."""
    input: Size
    """I, width of the inputs."""
    hidden: Size
    """H, width of the hidden state, the same in every layer."""
    output: Size | None = None
    """O, width of the outputs of a linear readout."""


@dataclass(frozen=True)
class Loss:
    """The loss of a case."""

    __pydantic_config__ = STRICT
    kind: Literal["squared_error", "softmax_cross_entropy", "dot"] = "squared_error"
    """squared_error: Σ (output − target)². softmax_cross_entropy: −Σ log softmax(output)[label].
    dot: Σ upstream · output, a pure vector–Jacobian product."""
    steps: Steps = "all"
    """The steps that have a loss, in each sequence that is long enough; negative ones count from sizes.time."""
    reduction: Literal["sum", "mean"] = "sum"
    """mean divides the sum by the number of its terms, over all sequences and steps with a loss."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A case file: one recurrent problem whose gradients are to be checked."""

    __pydantic_config__ = STRICT
    about: str = ""
    """The one reason why this case exists."""
    cell: Literal["rnn", "lstm", "gru"] = "rnn"
    """The recurrent cell."""
    reset: Literal["after", "before"] | None = None
    """The place of a gru's reset gate. after: it multiplies the state after the recurrent product, as in torch; the
    default. before: it multiplies the state before the product, as in the paper. The two are different functions."""
    activation: Literal["tanh", "relu", "sigmoid", "identity"] = "tanh"
    """The nonlinearity of an rnn cell; lstm and gru have tanh, and sigmoid gates."""
    layers: Annotated[int, Ge(1)] = 1
    """The number of stacked recurrent layers."""
    bidirectional: bool = False
    """true: each layer runs forward and also backward in time, with weights and states of its own (layerN.reverse.*).
    The states of the two directions stand side by side, forward first."""
    sizes: Sizes
    """The sizes of the arrays. Let them all differ: equal sizes hide transposes."""
    lengths: Annotated[tuple[Size, ...], Len(1)] | None = None
    """The number of steps of each sequence of the batch: B numbers from 1 to sizes.time; default sizes.time. After its
    end a sequence keeps its state, has no loss, and its outputs are zero, even with a readout."""
    dtype: Literal["float32", "float64"] = "float64"
    """The dtype of all computations."""
    weights: Weights = field(default_factory=lambda: {"uniform": (-0.5, 0.5), "seed": 0})
    """One array spec for every weight and bias; or one for each by name, with `default` for the rest; or a framework's
    own initialisation, {from: torch, seed: 0}; or a framework's file, {checkpoint: model.pt}."""
    inputs: ArraySpec = "zeros"
    """(B, T, I)"""
    initial_state: ArraySpecs = "zeros"
    """(B, H) for each state of each layer: one array spec for all, or one for each by name (layer0.h0; layer0.c0 of an
    lstm) with `default` for the rest."""
    readout: Literal["none", "linear"] = "none"
    """linear: outputs are h W_hy + b_y, of width sizes.output, at every step."""
    loss: Loss = Loss()
    """The loss that is differentiated."""
    targets: ArraySpec | None = None
    """The targets; default zeros. squared_error: of the shape of the outputs. softmax_cross_entropy: labels, (B, T)."""
    upstream: ArraySpec | None = None
    """The upstream gradient for the loss dot: the gradient of the outputs, of their shape."""
    truncation: Truncation = "none"
    """The truncation of the gradient in time; default none. The forward pass and the loss do not change."""
    training: TrainingOrNone = "none"
    """A training loop; its loss curve and final weights are compared, too."""
    implementations: Annotated[tuple[str, ...], Len(1)] | None = None
    """The implementations to compare; default all that support the case."""
    tolerance: Tolerance | None = None
    """Bounds that replace the default tolerances: one for every tensor, or by name with `default` for the rest."""
    memory: Literal["contiguous", "strided"] = "contiguous"
    """strided: your implementation receives views that are not contiguous. contiguous: arrays in order."""
    nonfinite: Literal["refused", "allowed"] = "refused"
    """refused: NaN or infinity in any result is no match. allowed: the same one at the same place matches."""
    expect: Literal["match", "mismatch"] = "match"
    """mismatch: the case documents a known disagreement, and fails when the disagreement goes away."""
    because: str | None = None
    """With `expect: mismatch`: the reason for the mismatch."""
    published: Published | None = None
    """Printed gradients; they are compared as the implementation `published`, to the digits printed."""

    def __post_init__(self) -> None:
        """Set the default reset of a gru."""
        if self.cell == "gru" and self.reset is None:
            object.__setattr__(self, "reset", "after")

    @property
    def structure(self) -> Structure:
        """The network's tensors and their shapes."""
        s = self.sizes
        sizes = (s.batch, s.time, s.input, s.hidden, s.output)
        return _structure(self.cell, self.layers, *sizes, self.reset or "after", 2 if self.bidirectional else 1)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that have a loss, each in [0, T), ascending; a shorter sequence has those before its end."""
        T = self.sizes.time
        return tuple(range(T)) if self.loss.steps == "all" else tuple(sorted(step % T for step in self.loss.steps))


class DrawOptions(TypedDict, total=False):
    """The numbers that a problem of a recurrence is drawn from."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    seed: Seed
    """The seed of all random numbers; 0 unless given."""
    upstream: Literal["all", "outputs alone", "last states alone"]
    """The random upstream gradients: of outputs and last states (the default), or of one of them, the other zero."""
    state: Literal["random", "zeros"]
    """The initial states, random unless given; those that must be positive are always random."""
    scale: Positive
    """A factor of the inputs, 1 unless given; above 1 it saturates gates."""
    absent: tuple[str, ...]
    """The optional arrays to leave out; none unless given."""


@dataclass(frozen=True, kw_only=True)
class RecurrenceFields:
    """A case file of a recurrence: a problem with random numbers, and a random upstream gradient of every output."""

    __pydantic_config__ = STRICT
    about: str = ""
    """The one reason why this case is here."""
    cell: str
    """A recurrence of the library; `harness list recurrences` shows them."""
    sizes: dict[str, Size] = field(default_factory=dict)
    """batch (3), time (7), and the recurrence's own letters; each letter that is left out has a size of its own. With a
    readout also output."""
    layers: Size | None = None
    """The number of stacked layers; any layer reads the outputs of the one below. This key and the next six make a
    network, whose weights are layerN.W and so on."""
    bidirectional: bool | None = None
    """true: each layer runs forward and also backward in time, with weights and states of its own, layerN.reverse.*"""
    lengths: Annotated[tuple[Size, ...], Len(1)] | None = None
    """The number of steps of each sequence of the batch: B numbers from 1 to sizes.time; default sizes.time. After its
    end a sequence keeps its state, has no loss, and its outputs are zero, even with a readout."""
    truncation: Truncation | None = None
    """The truncation of the gradient in time; default none. The forward pass and the loss do not change."""
    readout: Literal["none", "linear"] | None = None
    """linear: outputs are h W_hy + b_y, of width sizes.output, at every step."""
    loss: Loss | None = None
    """The loss of a network; default dot with a random upstream gradient. A recurrence without layers has a random
    upstream gradient of every output and last state."""
    targets: ArraySpec | None = None
    """The targets of squared_error, of the shape of the outputs, or the labels of softmax_cross_entropy, (B, T); random
    unless given."""
    dtype: Literal["float32", "float64"] = "float64"
    """The dtype of all computations."""
    draw: DrawOptions = field(default_factory=lambda: DrawOptions())
    """The draw of the numbers, such as {seed: 1, upstream: outputs alone}."""
    implementations: Annotated[tuple[str, ...], Len(1)] | None = None
    """The implementations to compare; all that support the case unless given."""
    tolerance: Tolerance | None = None
    """Replaces the default tolerances: one bound for every tensor, or by name with `default` for the rest."""
    memory: Literal["contiguous", "strided"] = "contiguous"
    """strided: your implementation receives views that are not contiguous. contiguous: arrays in order."""
    nonfinite: Literal["refused", "allowed"] = "refused"
    """refused: NaN or infinity in any result is no match. allowed: the same one at the same place matches."""
    expect: Literal["match", "mismatch"] = "match"
    """mismatch: the case documents a known disagreement, and fails when the disagreement goes away."""
    because: str | None = None
    """With `expect: mismatch`: why they disagree."""


_structure = lru_cache(maxsize=1024)(Structure)  # the same one again, which knows its shapes


_recurrence = lru_cache(maxsize=1024)(RecurrenceStructure)


@dataclass(frozen=True, kw_only=True)
class ValidCase(Fields):
    """A valid case.

    Attributes:
        name: The path under the cases folder without ``.yaml``; in a sweep, with the combination in brackets.
        file: The file that it came from.
        half_units: Half a unit in the last digit of each published value as the file has it, nested like the values.
        leads_sweep: True for the first combination of a sweep, and for a case without one.
        recurrence: The declaration of the recurrence, the digest of its source, its draw, sizes and shapes, and whether
            it is in a network; None for a network of rnn, lstm or gru.
    """

    name: str
    file: str
    half_units: list[Any] | None = None
    leads_sweep: bool = True
    recurrence: dict[str, Any] | None = None

    @property
    def structure(self) -> Structure:
        """The network's tensors and their shapes."""
        if self.recurrence is None:
            return super().structure
        shapes, s, D = self.recurrence["shapes"], self.sizes, 2 if self.bidirectional else 1
        kinds = tuple((kind, tuple((n, tuple(shape)) for n, shape in each.items())) for kind, each in shapes.items())
        layers = self.layers if self.is_network else 0
        return _recurrence(self.cell, layers, s.batch, s.time, 0, 0, s.output, directions=D, shapes=kinds)

    @property
    def is_network(self) -> bool:
        """True if it has layers and a loss around its cell, as every case of rnn, lstm and gru has."""
        return self.recurrence is None or bool(self.recurrence.get("network"))

    def to_plain(self) -> dict[str, Any]:
        """Return the case as plain data for JSON."""
        return {**vars(self), "sizes": dataclasses.asdict(self.sizes), "loss": dataclasses.asdict(self.loss)}

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> ValidCase:
        """Return the case from the plain data of ``to_plain``."""
        loss = plain["loss"]
        steps = loss["steps"] if loss["steps"] == "all" else tuple(loss["steps"])
        named, lengths = plain["implementations"], plain["lengths"]
        return ValidCase(
            **{
                **_with_pairs(plain),
                "sizes": Sizes(**plain["sizes"]),
                "loss": Loss(**{**loss, "steps": steps}),
                "implementations": None if named is None else tuple(named),
                "lengths": None if lengths is None else tuple(lengths),
            }
        )


def _with_pairs(plain: dict[str, Any]) -> dict[str, Any]:
    """Return plain data with the bounds of uniform numbers as a pair, as the validator makes them."""
    return {
        name: _with_pairs(value) if isinstance(value, dict) else tuple(value) if name == "uniform" else value
        for name, value in plain.items()
    }
