"""What a case says: the keys of a case file with their types, meanings and defaults.

This is the one definition of the format. The validator reads the types, ``harness schema`` the types and the texts
under the fields, and code that has a case in hand reads its attributes. Nothing is imported for it but the standard
library and the markers of annotated-types, so that a worker can hold a case without loading a validator.
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
"""How pydantic is to read these classes. A plain dictionary, so that pydantic need not be imported to write it.

The docstrings of attributes are for the JSON Schema alone, which asks for them: they cost a quarter of a second.
"""

CELLS = tuple(GATES)
"""The cells of networks. Any other cell of a case is a recurrence."""

Size = Annotated[int, Ge(1)]
Seed = Annotated[int, Ge(0)]
NonNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]


class Fill(TypedDict):
    """Every element the same."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    fill: float
    """The value of every element."""


class Uniform(TypedDict):
    """Drawn uniformly from [low, high); whole numbers from low to high − 1 where the tensor holds labels."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    uniform: tuple[float, float]
    """[low, high]"""
    seed: NotRequired[Seed]
    """0 unless given. Each tensor draws from a stream of its own, so one seed serves all."""


class Normal(TypedDict):
    """Drawn from the normal distribution around zero."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    normal: NonNegative
    """The standard deviation."""
    seed: NotRequired[Seed]
    """0 unless given. Each tensor draws from a stream of its own, so one seed serves all."""


class Values(TypedDict):
    """Written out."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    values: list[Any]
    """Nested lists of numbers, of the tensor's shape."""


class File(TypedDict):
    """Read from an .npz file that lies beside the case file or below it. Pickled objects are refused."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    file: str
    """The path, from the case file's folder."""
    key: str
    """The array's name in the file."""


class OneHot(TypedDict):
    """One 1 in each row, zeros elsewhere."""

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
    """The weights of recurrent layers in a framework's file. Nothing in it is run, and pickled objects are refused."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    checkpoint: str
    """The path, from the case file's folder: .pt, .pth or .safetensors, .keras, .weights.h5 or .h5, .index of
    TensorFlow 1, .npz; the index of several files, .index.json; any of these under another name."""
    layout: NotRequired[Literal["split", "torch", "keras", "tf1"]]
    """The layout of the tensors in it; if not given, that of the file's format, or what their names say."""
    layer: NotRequired[str]
    """Which recurrent layers are meant, where there are several: their path in the file or its end, encoder.rnn for
    one; several paths, from the inputs up, with commas between."""
    readout: NotRequired[str]
    """Which linear layer is the readout, where several fit."""
    ignore: NotRequired[list[str]]
    """The names of what stands beside the layers in the file and takes no part in what they compute. Whatever else
    stands beside them is a mistake."""
    forget_bias: NotRequired[float]
    """The number that TensorFlow 1's lstm adds to its forget gate at run time; 1 unless given. No file says it."""


class Bound(TypedDict, total=False):
    """|actual − expected| may be at most atol + rtol·|expected|; the one that is left out is 0."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    rtol: NonNegative
    """Relative to each expected element."""
    atol: NonNegative
    """Absolute."""


class PublishedGradient(TypedDict):
    """A gradient that was printed, or a part of it."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    tensor: str
    """The tensor's name, such as layer0.W_xh."""
    at: NotRequired[list[int]]
    """The first indices of the part that was printed; the whole tensor unless given."""
    values: Any
    """Nested lists of numbers, of the shape of that part. Their digits count: 0.50 was printed to two places."""


class Published(TypedDict):
    """Gradients that somebody printed."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    source: str
    """Where they were printed."""
    gradients: Annotated[list[PublishedGradient], Len(1)]
    """Each tensor, or each part of one."""


class Detach(TypedDict):
    """The state is carried on from step to step; its gradient is cut every so many steps, in every layer."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: Literal["detach"]
    """A cut between chunks."""
    every: Annotated[int, Ge(1)]
    """k: what step t hands to the step before is cut where t > 0 is a multiple of k, t counted from 0."""


class Window(TypedDict):
    """The loss of each step reaches so many steps back, in every layer, and no further."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    kind: Literal["window"]
    """A reach for each step's loss."""
    steps: Annotated[int, Ge(0)]
    """k: the loss of step t reaches its own step and the k before it; the initial state, if that includes step 0."""


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
    """Adam as its paper has it (Kingma and Ba 2015, algorithm 1): ε stands outside the bias-corrected root."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    adam: AdamOptions
    """Its options."""


OPTIMIZERS = ("sgd", "adam")


def optimizer_kind(data: Any) -> str | None:
    """Return which optimizer ``data`` is meant as; None if it is none of ``OPTIMIZERS``."""
    return next((kind for kind in OPTIMIZERS if kind in data), None) if isinstance(data, dict) else None


if TYPE_CHECKING:
    Optimizer = SGD | Adam
else:
    Optimizer = Annotated[
        Any, ChosenBy(optimizer_kind, {"sgd": SGD, "adam": Adam}, "{sgd: {lr: 0.01}} or {adam: {lr: 0.01}}")
    ]


class Training(TypedDict):
    """A training loop that starts from the case's weights, with each implementation's own gradients.

    Step s takes the loss of its sequences under the weights that s steps have made, and the gradient of that loss;
    limits each element of it by ``clip_value``, then its norm by ``clip_norm``; and has the optimizer move the weights.
    Initial states are not trained, nor are inputs.
    """

    __pydantic_config__ = STRICT  # type: ignore[misc]
    steps: Size
    """How many steps there are."""
    optimizer: Optimizer
    """What makes new weights of weights and gradients."""
    clip_value: NotRequired[Positive]
    """Each element of the gradient is cut off at this, on both sides of zero."""
    clip_norm: NotRequired[Positive]
    """Where the norm over the gradients of all trained weights together is above this, all are scaled down to it."""
    halve_lr_when_loss_rises: NotRequired[bool]
    """Halve the learning rate whenever the loss of a pass over all sequences, the sum of its steps' losses, is above
    that of the pass before; from the update on with which the pass ends. Without batch, each step is a pass."""
    batch: NotRequired[Size]
    """How many sequences a step sees: the first so many, then the next, and from the top again; all unless given. It
    must divide sizes.batch."""
    carry_state: NotRequired[bool]
    """Each step but the first starts with the states that the step before ended with, as constants."""
    frozen: NotRequired[list[str]]
    """The weights that are not trained, by name."""


SPEC_WORDS = ("zeros", "ones")
_SPECS = {"fill": Fill, "uniform": Uniform, "normal": Normal, "values": Values, "file": File, "one_hot": OneHot}
SPEC_KEYS = tuple(_SPECS)
EXPECTED_SPEC = (
    "an array spec: zeros, ones, {fill: 0.5}, {uniform: [-0.1, 0.1], seed: 1}, {normal: 1.0, seed: 1}, "
    "{values: [[...]]}, {file: x.npz, key: W} or {one_hot: [[...]]}"
)


def spec_kind(data: Any) -> str | None:
    """Return which kind of array spec ``data`` is meant as: ``word`` or a key of it; None if it is no array spec."""
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
    """Return whether ``weights`` says where they come from, and not what stands in each tensor."""
    return _weights_kind(weights) in ("native", "checkpoint")


def _holds_specs(data: Any) -> bool:
    """Tell whether ``data`` is a mapping of tensors to specs; one whose keys are all misspelt is recognised, too."""
    return isinstance(data, dict) and any(isinstance(value, str | dict) for value in data.values())


def _tolerance_kind(data: Any) -> str | None:
    if not isinstance(data, dict):
        return None
    return "by name" if any(isinstance(value, dict) for value in data.values()) else "bound"


TRUNCATIONS = ("none", "detach", "window")


def truncation_kind(data: Any) -> str | None:
    """Return which kind of truncation ``data`` is meant as, one of ``TRUNCATIONS``; None if it is none of them."""
    kind = data.get("kind") if isinstance(data, dict) else data
    return kind if kind in TRUNCATIONS and isinstance(data, dict) == (kind != "none") else None


def training_kind(data: Any) -> str | None:
    """Return whether ``data`` is meant as ``none`` or as a ``loop``; None if it is neither."""
    return "none" if data == "none" else "loop" if isinstance(data, dict) else None


def _steps_kind(data: Any) -> str | None:
    return "all" if data == "all" else "list" if isinstance(data, list) else None


_SPEC_MEMBERS: dict[str, Any] = {"word": Literal["zeros", "ones"], **_SPECS}
if TYPE_CHECKING:
    # A mapping has the keys of one of the classes above; which, is known only when it is looked at.
    ArraySpec = Literal["zeros", "ones"] | dict[str, Any]
    ArraySpecs = ArraySpec
    Weights = ArraySpec
    Tolerance = dict[str, Any]
    Steps = Literal["all"] | tuple[int, ...]
    Truncation = Literal["none"] | Detach | Window
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
        Any, ChosenBy(_tolerance_kind, {"bound": Bound, "by name": dict[str, Bound]}, "{rtol: 1e-7, atol: 1e-9}")
    ]
    Steps = Annotated[
        Any, ChosenBy(_steps_kind, {"all": Literal["all"], "list": Annotated[tuple[int, ...], Len(1)]}, "all or a list")
    ]
    Truncation = Annotated[
        Any,
        ChosenBy(
            truncation_kind,
            {"none": Literal["none"], "detach": Detach, "window": Window},
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
    """What is differentiated."""

    __pydantic_config__ = STRICT
    kind: Literal["squared_error", "softmax_cross_entropy", "dot"] = "squared_error"
    """squared_error: Σ (output − target)². softmax_cross_entropy: −Σ log softmax(output)[label].
    dot: Σ upstream · output, a pure vector–Jacobian product."""
    steps: Steps = "all"
    """The steps that have a loss, in each sequence that has them; negative ones count from sizes.time."""
    reduction: Literal["sum", "mean"] = "sum"
    """mean divides by the number of terms of the sum, over everything that the loss covers."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A case file: one recurrent problem whose gradients are to be checked."""

    __pydantic_config__ = STRICT
    about: str = ""
    """The one reason why this case is here."""
    cell: Literal["rnn", "lstm", "gru"] = "rnn"
    """The recurrent cell."""
    reset: Literal["after", "before"] | None = None
    """Whether a gru's reset gate multiplies the state after the recurrent product (as in torch; the default) or before
    it (as in the paper). They are two functions."""
    activation: Literal["tanh", "relu", "sigmoid", "identity"] = "tanh"
    """The nonlinearity of an rnn cell; lstm and gru have tanh, and sigmoid gates."""
    layers: Annotated[int, Ge(1)] = 1
    """How many recurrent layers are stacked."""
    bidirectional: bool = False
    """Whether each layer runs forward and, with weights and states of its own (layerN.reverse.*), backward in time;
    their states stand side by side, forward first."""
    sizes: Sizes
    """The sizes of the arrays. Let them all differ: equal sizes hide transposes."""
    lengths: Annotated[tuple[Size, ...], Len(1)] | None = None
    """How many steps each sequence of the batch has, B numbers from 1 to sizes.time; all of them unless given. Past its
    end a sequence keeps its state, its outputs are zero, also with a readout, and no loss looks."""
    dtype: Literal["float32", "float64"] = "float64"
    """What everything is computed in."""
    weights: Weights = field(default_factory=lambda: {"uniform": (-0.5, 0.5), "seed": 0})
    """One array spec for every weight and bias; or one for each by name, with `default` for the rest; or a framework's
    own initialisation, {from: torch, seed: 0}; or a file of a framework's, {checkpoint: model.pt}."""
    inputs: ArraySpec = "zeros"
    """(B, T, I)"""
    initial_state: ArraySpecs = "zeros"
    """(B, H) for each state of each layer; one array spec for all, or by name (layer0.h0, an lstm's layer0.c0) with
    `default` for the rest."""
    readout: Literal["none", "linear"] = "none"
    """linear: outputs are h W_hy + b_y, of width sizes.output, at every step."""
    loss: Loss = Loss()
    """What is differentiated."""
    targets: ArraySpec | None = None
    """zeros unless given. squared_error: of the shape of the outputs. softmax_cross_entropy: labels, (B, T)."""
    upstream: ArraySpec | None = None
    """dot: the gradient of the outputs, and of their shape."""
    truncation: Truncation = "none"
    """How far back the gradient is carried: all the way, or not. The forward pass and the loss are the same."""
    training: TrainingOrNone = "none"
    """A training loop, whose loss curve and final weights are compared, too."""
    implementations: Annotated[tuple[str, ...], Len(1)] | None = None
    """The implementations to compare; all that support the case unless given."""
    tolerance: Tolerance | None = None
    """Replaces the default tolerances: one bound for every tensor, or by name with `default` for the rest."""
    nonfinite: Literal["refused", "allowed"] = "refused"
    """refused: NaN or infinity in any result is no match. allowed: the same one at the same place matches."""
    expect: Literal["match", "mismatch"] = "match"
    """mismatch: the case documents a known disagreement, and fails when the disagreement goes away."""
    because: str | None = None
    """With `expect: mismatch`: why they disagree."""
    published: Published | None = None
    """Gradients that somebody printed; they take part as the implementation `published`, to the digits printed."""

    def __post_init__(self) -> None:
        """Settle the variant of a gru that does not say which it is."""
        if self.cell == "gru" and self.reset is None:
            object.__setattr__(self, "reset", "after")

    @property
    def structure(self) -> Structure:
        """Which tensors there are, and their shapes."""
        s = self.sizes
        sizes = (s.batch, s.time, s.input, s.hidden, s.output)
        return _structure(self.cell, self.layers, *sizes, self.reset or "after", 2 if self.bidirectional else 1)

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that the loss covers, each in [0, T), ascending; of a shorter sequence those that it has."""
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


@dataclass(frozen=True, kw_only=True)
class RecurrenceFields:
    """A case file of a recurrence: a problem with random numbers, and a random upstream gradient of every output."""

    __pydantic_config__ = STRICT
    about: str = ""
    """The one reason why this case is here."""
    cell: str
    """A recurrence of the library; `harness list recurrences` shows them."""
    sizes: dict[str, Size] = field(default_factory=dict)
    """batch (3), time (7), and the recurrence's own letters; each letter that is left out has a size of its own."""
    dtype: Literal["float32", "float64"] = "float64"
    """What everything is computed in."""
    draw: DrawOptions = field(default_factory=lambda: DrawOptions())
    """How the numbers are drawn, such as {seed: 1, upstream: outputs alone}."""
    implementations: Annotated[tuple[str, ...], Len(1)] | None = None
    """The implementations to compare; all that support the case unless given."""
    tolerance: Tolerance | None = None
    """Replaces the default tolerances: one bound for every tensor, or by name with `default` for the rest."""
    nonfinite: Literal["refused", "allowed"] = "refused"
    """refused: NaN or infinity in any result is no match. allowed: the same one at the same place matches."""
    expect: Literal["match", "mismatch"] = "match"
    """mismatch: the case documents a known disagreement, and fails when the disagreement goes away."""
    because: str | None = None
    """With `expect: mismatch`: why they disagree."""


_structure = lru_cache(maxsize=1024)(Structure)  # the same one again, which knows its shapes


@lru_cache(maxsize=1024)
def _recurrence(name: str, batch: int, time: int, shapes: tuple[Any, ...]) -> RecurrenceStructure:
    return RecurrenceStructure(name, 1, batch, time, 0, 0, None, shapes=shapes)


@dataclass(frozen=True, kw_only=True)
class Case(Fields):
    """One case, read and found valid.

    Attributes:
        name: the path under the cases folder without ``.yaml``; in a sweep, with the combination in brackets.
        file: the file that it came from.
        half_units: half a unit in the last digit of each published value as the file has it, nested as they are.
        leads_sweep: whether it is the first combination of its sweep; so is a case without one.
        recurrence: of a recurrence, what ``harness.problem.recurrent`` needs to make its arrays; None of a network.
    """

    name: str
    file: str
    half_units: list[Any] | None = None
    leads_sweep: bool = True
    recurrence: dict[str, Any] | None = None

    @property
    def structure(self) -> Structure:
        """Which tensors there are, and their shapes."""
        if self.recurrence is None:
            return super().structure
        shapes = self.recurrence["shapes"]
        kinds = tuple((kind, tuple((n, tuple(shape)) for n, shape in each.items())) for kind, each in shapes.items())
        return _recurrence(self.cell, self.sizes.batch, self.sizes.time, kinds)

    def to_plain(self) -> dict[str, Any]:
        """Return the case as JSON can hold it."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> Case:
        """Return the case that ``to_plain`` was called on, after a way through JSON."""
        loss = plain["loss"]
        steps = loss["steps"] if loss["steps"] == "all" else tuple(loss["steps"])
        named, lengths = plain["implementations"], plain["lengths"]
        return Case(
            **{
                **plain,
                "sizes": Sizes(**plain["sizes"]),
                "loss": Loss(**{**loss, "steps": steps}),
                "implementations": None if named is None else tuple(named),
                "lengths": None if lengths is None else tuple(lengths),
            }
        )
