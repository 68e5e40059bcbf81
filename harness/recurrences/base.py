"""A recurrence: one function of one step, and the shapes of all its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from weakref import WeakValueDictionary

from harness.casefile import listed, nearest
from harness.tensors import Shape

if TYPE_CHECKING:
    from harness.problem.recurrent import RecurrenceProblem

Step = Callable[..., tuple[Mapping[str, Any], Any]]
"""A function from ``xp``, weights, inputs of one step and the state before it to the state after it and the output."""

_WORD = re.compile(r"(?:(\d+)\*)?([A-Za-z]\w*)|(\d+)")
_RESERVED = {"B": "the batch", "T": "the time", "batch": "the batch", "time": "the time"}
SIZES = (4, 5, 2, 6, 8, 9, 10, 11)
"""Default sizes of letters, in their order; with B 3 and T 7 no two are equal."""


class DeclarationError(ValueError):
    """The declaration of a recurrence is wrong; the text has the place and the right form."""


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A recurrence, declared.

    B is the batch. Shapes are texts of letters and products of a number and a letter, ``"I 4*H"``.

    Attributes:
        name: its name in cases, reports and on the command line.
        step: the function of one step.
        weights: the shape of each weight.
        inputs: the shape of each input at one step of one sequence; the step receives (B, …).
        state: the shape of each state of one sequence; the step receives (B, …) and returns the same.
        context: the shape of each array that all steps of a sequence share, such as a memory or a mask; the step
            receives it among its inputs, (B, …).
        positive: the names of weights, inputs and states that must be above zero.
        optional: the names of arrays that may be absent. The step receives None for an absent weight or input, and
            zeros for an absent state.
        masks: the names of inputs and context arrays that are 0 or 1; they are held fixed, and have no gradient.
        resets: the name of the input, a number, that is 1 at the first step of a sequence that is packed behind another
            in time, and 0 elsewhere; also held fixed.
        about: a description in one line.
    """

    name: str
    step: Step
    weights: Mapping[str, str]
    inputs: Mapping[str, str]
    state: Mapping[str, str]
    context: Mapping[str, str] = field(default_factory=dict)
    positive: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    resets: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        for kind, declared in self._kinds.items():
            if not isinstance(declared, Mapping):
                raise DeclarationError(f"{self.name}: {kind} is {declared!r}, but should be shapes by name")
            for name, text in declared.items():
                _check(f"{self.name}: {kind}[{name!r}]", text)
        if not self.inputs:
            raise DeclarationError(f"{self.name} has no inputs; a sequence without inputs has no length")
        self._check_names("positive", [*self.weights, *self.inputs, *self.state, *self.context])
        self._check_names("optional", [*self.weights, *self.inputs, *self.state, *self.context])
        self._check_names("masks", [*self.inputs, *self.context])
        if self.resets:
            self._check_resets()
        if not set(self.inputs) - set(self.optional):
            raise DeclarationError(f"{self.name}: every input is optional; a sequence without inputs has no length")
        if clash := sorted(self.weights.keys() & {f"{state}0" for state in self.state}):
            raise DeclarationError(f"{self.name}: weight {clash[0]!r} has the name of an initial state; rename it")
        if twice := sorted(self.inputs.keys() & self.context.keys()):
            raise DeclarationError(f"{self.name}: {twice[0]!r} is among inputs and context; remove it from one of them")

    @property
    def _kinds(self) -> dict[str, Mapping[str, str]]:
        """The declared shapes of each kind of array."""
        return {"weights": self.weights, "inputs": self.inputs, "state": self.state, "context": self.context}

    def _check_names(self, listing: str, names: Sequence[str]) -> None:
        """Refuse a listing, such as ``positive``, that is no tuple of declared names."""
        given = getattr(self, listing)
        if isinstance(given, str) or not all(isinstance(name, str) for name in given):
            raise DeclarationError(f"{self.name}: {listing} is {given!r}, but should be names, such as ({names[0]!r},)")
        for name in given:
            if name not in names:
                hint = nearest(name, names) or f"there are {listed(names)}"
                raise DeclarationError(f"{self.name}: {listing} has {name!r}, which is not declared; {hint}")

    def _check_resets(self) -> None:
        if self.resets not in self.inputs:
            hint = nearest(self.resets, self.inputs) or f"there are {listed(self.inputs)}"
            raise DeclarationError(f"{self.name}: resets is {self.resets!r}, which is no input; {hint}")
        if text := self.inputs[self.resets].strip():
            raise DeclarationError(
                f"{self.name}: inputs[{self.resets!r}] is {text!r}, but resets are a number for each step; write ''"
            )

    @property
    def held(self) -> frozenset[str]:
        """The names of inputs and context arrays that are held fixed."""
        return frozenset((*self.masks, self.resets) if self.resets else self.masks)

    @property
    def fed(self) -> str | None:
        """The input that the outputs of a layer below can be: the only one that is not held; None if there are more."""
        free = [name for name in self.inputs if name not in self.held]
        return free[0] if len(free) == 1 else None

    @property
    def in_network(self) -> dict[str, str]:
        """The name that the gradient of each input has in a network: ``inputs`` for the one that layers feed."""
        names = (*self.inputs, *self.context)
        return {name: "inputs" if name == self.fed else f"inputs.{name}" for name in names}

    def __call__(self, xp: Any, w: Any, x: Any, s: Any) -> tuple[Mapping[str, Any], Any]:
        """Call the step, so that the recurrence stays usable in its own file."""
        return self.step(xp, w, x, s)

    def problem(
        self, *, seed: int = 0, dtype: str = "float64", B: int = 3, T: int = 7, **sizes: int
    ) -> RecurrenceProblem:
        """Return a problem with random numbers and a random upstream gradient of every output and last state.

        Args:
            seed: the seed of the random numbers.
            dtype: of every number, ``float32`` or ``float64``.
            B: the batch.
            T: the time.
            sizes: of the declared letters, ``H=5``; all others differ from each other.

        Raises:
            DeclarationError: if a size is not the recurrence's.
            StepError: if the step does something that a step may not.
        """
        from harness.case.recurrent import Draw
        from harness.problem.recurrent import problem_of

        return problem_of(self, Draw(B=B, T=T, dtype=dtype, seed=seed), sizes)

    @property
    def declared(self) -> dict[str, Any]:
        """The declaration without the step, as JSON can hold it."""
        return {
            "name": self.name,
            **{kind: dict(each) for kind, each in self._kinds.items()},
            "positive": list(self.positive),
            "optional": list(self.optional),
            "masks": list(self.masks),
            "resets": self.resets,
            "about": self.about,
        }

    @classmethod
    def from_declared(cls, declared: Mapping[str, Any]) -> Recurrence:
        """Return a recurrence with its step in another process: it has shapes, and refuses to run."""

        def step(xp: Any, w: Any, x: Any, s: Any) -> Any:
            del xp, w, x, s
            raise RuntimeError(f"the step of {declared['name']} is in the process of its own file")

        listings = {name: tuple(declared[name]) for name in ("positive", "optional", "masks")}
        return cls(**{**declared, **listings}, step=step)

    @property
    def file(self) -> str:
        """The step's file."""
        return self.step.__code__.co_filename

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters of all shapes, in their order."""
        texts = [*self.inputs.values(), *self.weights.values(), *self.state.values(), *self.context.values()]
        return tuple(dict.fromkeys(letter for text in texts for _, letter, _ in _WORD.findall(text) if letter))

    def sizes(self, **given: int) -> dict[str, int]:
        """Return a size for every letter: those given, and different ones for the others.

        Raises:
            DeclarationError: if a letter is given that no shape has, or a size below 1.
        """
        for letter, size in given.items():
            if letter not in self.letters:
                hint = nearest(letter, self.letters) or f"there are B, T, {listed(self.letters)}"
                raise DeclarationError(f"{self.name} has no size {letter!r}; {hint}")
            if not isinstance(size, int) or size < 1:
                raise DeclarationError(f"{self.name}: size {letter} is {size!r}, but should be a whole number above 0")
        free = iter(size for size in (*SIZES, *range(12, 100)) if size not in given.values())
        return {letter: given[letter] if letter in given else next(free) for letter in self.letters}

    def shapes(self, declared: Mapping[str, str], sizes: Mapping[str, int], *before: int) -> dict[str, Shape]:
        """Return the shapes of declared texts with given sizes, each with ``before`` in front.

        Raises:
            DeclarationError: if a letter has no size.
        """
        return {name: (*before, *self._shape(name, text, sizes)) for name, text in declared.items()}

    def _shape(self, name: str, text: str, sizes: Mapping[str, int]) -> Shape:
        shape = []
        for factor, letter, number in _WORD.findall(text):
            if letter and letter not in sizes:
                raise DeclarationError(f"{self.name}: {name} has the shape {text!r}, but {letter} has no size")
            shape.append(int(number) if number else int(factor or 1) * sizes[letter])
        return tuple(shape)


DECLARED: WeakValueDictionary[str, Recurrence] = WeakValueDictionary()
"""The recurrences that this process declared and still holds, by name; the last of each name."""


class Options(TypedDict, total=False):
    """Parts of a declaration beside the shapes of weights, inputs and states."""

    context: Mapping[str, str]
    positive: tuple[str, ...]
    optional: tuple[str, ...]
    masks: tuple[str, ...]
    resets: str
    name: str


def recurrence(
    *, weights: Mapping[str, str], inputs: Mapping[str, str], state: Mapping[str, str], **options: Unpack[Options]
) -> Callable[[Step], Recurrence]:
    """Declare a function of one step as a recurrence.

    ``step(xp, w, x, s)`` receives a namespace, the weights, the inputs of one step (B, …) and the state before it
    (B, …), each by name, and returns the state after it and the output (B, …).

    Args:
        weights: the shape of each weight, ``{"W": "I 4*H"}``; an empty text for a number.
        inputs: the shape of each input at one step of one sequence. B and T are never written.
        state: the shape of each state of one sequence.
        options: any of the following.

            - ``context``: the shape of each array that all steps of a sequence share; the step receives it among its
              inputs.
            - ``positive``: the names of arrays that must be above zero.
            - ``optional``: the names of arrays that may be absent. The step receives None for an absent weight or
              input, and zeros for an absent state.
            - ``masks``: the names of inputs and context arrays that are 0 or 1, such as that of dropout. They are held
              fixed: no gradient is taken by them.
            - ``resets``: the name of an input, a number, that is 1 at the first step of each sequence that is packed
              behind another in time. It is held fixed, and every state before such a step counts as zero.
            - ``name``: its name; the function's unless given.

    Raises:
        DeclarationError: if a shape cannot be read, or the function does not take ``xp, w, x, s``.
    """

    def declare(step: Step) -> Recurrence:
        import inspect  # takes longer than all of a network's file

        own = str(options.get("name") or getattr(step, "__name__", "recurrence"))
        for option in options:
            if option not in Options.__annotations__:
                known = ["weights", "inputs", "state", *Options.__annotations__]
                hint = nearest(option, known) or f"there are {listed(known)}"
                raise DeclarationError(f"{own}: a recurrence has no {option!r}; {hint}")
        if not inspect.isfunction(step):
            raise DeclarationError(f"{own} is a {type(step).__name__}; a recurrence is a function, step(xp, w, x, s)")
        if len(inspect.signature(step).parameters) != 4:
            raise DeclarationError(f"{own} takes {inspect.signature(step)}, but should take (xp, w, x, s)")
        about = (step.__doc__ or "").strip().partition("\n")[0]
        others: dict[str, Any] = {option: value for option, value in options.items() if option != "name"}
        DECLARED[own] = found = Recurrence(own, step, weights, inputs, state, about=about, **others)
        return found

    return declare


def _check(where: str, text: Any) -> None:
    if not isinstance(text, str):
        raise DeclarationError(f"{where} is {text!r}, but should be a text such as 'I 4*H'")
    for word in text.split():
        match = _WORD.fullmatch(word)
        if match is None:
            raise DeclarationError(f"{where} has {word!r}, but should have letters, numbers or products such as 4*H")
        if match[2] in _RESERVED:
            raise DeclarationError(f"{where} has {match[2]}, {_RESERVED[match[2]]}, which is never written")
