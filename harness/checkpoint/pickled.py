"""The content of a pickle of torch, followed but not executed.

A pickle is a program for a stack machine that may import and call anything. Here nothing is imported and nothing is
called: an imported name must be among a few, and a call to one of them makes a record of the call. Everything else in
the program is a reason to refuse it. The opcodes are those of ``torch._weights_only_unpickler``, taken apart by
``pickletools``, which only reads.

The result may have one thing in many places, so that its size is unbounded when it is written out or walked through;
its users do neither.
"""

from __future__ import annotations

import pickletools
import re
from dataclasses import dataclass, field
from typing import Any

from harness.checkpoint.base import CheckpointRefused

ALLOWED = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
)
"""The calls in a state dict; storages are only named."""

MOST_OPCODES = 20_000_000
"""Maximum of opcodes, about a minute."""

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass
class Made:
    """A name in the pickle, or a call of it.

    Attributes:
        what: module and name, with a space between; ``storage`` for a member of the archive.
        arguments: the arguments of the call.
    """

    what: str
    arguments: tuple[Any, ...] = field(default_factory=tuple)


_MARK = Made("mark")


def followed(content: bytes) -> Any:
    """Return the content of a pickle of tensors: mappings, lists, tuples, texts, numbers, and ``Made`` for the rest.

    Raises:
        CheckpointRefused: if it does anything but name tensors.
        ValueError, LookupError: if it is damaged.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content)):
        if count == MOST_OPCODES:
            raise CheckpointRefused(f"has a pickle of more than {MOST_OPCODES:,} opcodes")
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                (root,) = stack
                return root
            case "MARK":
                stack.append(_MARK)
            case name if name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            case name if name in _NUMBERS or name in _TEXTS:
                stack.append(argument)
            case name if name in _TUPLES:
                stack.append(_taken(stack, _TUPLES[name]))
            case "TUPLE":
                stack.append(_to_mark(stack))
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND" | "APPENDS":
                items = _to_mark(stack) if opcode.name == "APPENDS" else _taken(stack, 1)
                _at_top(stack, list).extend(items)
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEM" | "SETITEMS":
                items = _to_mark(stack) if opcode.name == "SETITEMS" else _taken(stack, 2)
                _at_top(stack, dict).update(_pairs(items))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(Made(_known(argument, content)))
            case "BINPERSID":
                (identity,) = _taken(stack, 1)
                if not (isinstance(identity, tuple) and len(identity) == 5 and identity[0] == "storage"):
                    raise ValueError("it names something that is no storage of torch")
                stack.append(Made("storage", identity))
            case "REDUCE":
                called, arguments = _taken(stack, 2)
                stack.append(_called(called, arguments))
            case "BUILD":  # the attributes of an OrderedDict: versions of modules
                _taken(stack, 1)
                _at_top(stack, dict)
            case other:
                raise CheckpointRefused(f"has a pickle that does more than name tensors ({other})", _HINT)
    raise ValueError("its pickle has no end")


_HINT = "give a state dict: torch.save(model.state_dict(), ...)"


_QUANTISED = re.compile(rb"_rebuild_qtensor|\nqu?int(?:2x4|4x2|8|32)\n|QU?Int\w*Storage|_packed_(?:params|weight)")
"""Names in the pickle of a quantised model."""

_DTYPE = re.compile(r"torch (?:b?float\d+|u?int\d+|bool|complex\d+|float8_\w+|device)")


def _known(name: str, content: bytes) -> str:
    module, _, own = name.partition(" ")
    if name not in ALLOWED and not (module in ("torch", "torch.storage") and own.endswith("Storage")):
        if _QUANTISED.search(content) is not None:
            raise CheckpointRefused(
                f"is the state dict of a quantised model ({module}.{own}), with packed weights, which are not read",
                "save the state dict of the model before it was quantised; if its recurrent layers are not "
                "quantised, save theirs alone: torch.save(model.rnn.state_dict(), ...)",
            )
        if _DTYPE.fullmatch(name) is not None:
            raise CheckpointRefused(f"has {module}.{own} in its pickle, which is no tensor", _HINT)
        raise CheckpointRefused(f"has a pickle with {module}.{own} in it, and unpickling that runs code", _HINT)
    return name


def _called(called: Any, arguments: Any) -> Any:
    if not isinstance(called, Made) or called.what not in ALLOWED or not isinstance(arguments, tuple):
        raise CheckpointRefused("has a pickle with a call that makes no tensor", _HINT)
    if called.what == "collections OrderedDict":
        if arguments:  # it is filled afterwards
            raise ValueError("a mapping in its pickle has contents that torch never writes")
        return {}
    return arguments[0] if called.what == "torch Size" else Made(called.what, arguments)


def _pairs(items: Any) -> list[tuple[Any, Any]]:
    keys = items[::2]
    if not all(
        isinstance(key, str | int | float | bool | None) for key in keys
    ):  # others have no hash, or a costly one
        raise ValueError("a key in its pickle is neither text nor number")
    return list(zip(keys, items[1::2], strict=True))


def _taken(stack: list[Any], count: int) -> tuple[Any, ...]:
    if len(stack) < count or any(each is _MARK for each in stack[len(stack) - count :]):
        raise ValueError("its pickle takes more than its stack has")
    taken = tuple(stack[len(stack) - count :])
    del stack[len(stack) - count :]
    return taken


def _to_mark(stack: list[Any]) -> tuple[Any, ...]:
    taken = []
    while (each := stack.pop()) is not _MARK:
        taken.append(each)
    return tuple(reversed(taken))


def _at_top(stack: list[Any], kind: type) -> Any:
    if not isinstance(stack[-1], kind):
        raise ValueError(f"its pickle fills what is no {kind.__name__}")
    return stack[-1]
