"""torch's ``.pt`` and ``.pth``: state dicts, in the zip format that ``torch.save`` has written since 1.6.

The archive has a pickle that lists the tensors, and a member for each storage. The pickle is not unpickled: ``pickled``
follows it and builds only the tensors' records. So it reads the files that ``torch.load`` reads with
``weights_only=True``, and torch need not be installed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy import ndarray
from typing_extensions import override

from harness.checkpoint.archive import archive, as_it_is
from harness.checkpoint.base import CheckpointRefused, Format, Stored
from harness.checkpoint.pickled import Made, followed
from harness.tensors import Shape

NAME = "a state dict of torch"
BARE_PICKLE = b"\x80\x02"
"""The first bytes of a file that torch.save wrote before torch 1.6."""

MOST_PICKLE = 2**26
"""Maximum bytes of the pickle; 100,000 tensors have about ten million."""

DEEPEST, MOST_MAPPINGS = 100, 10_000
"""Maximum depth and number of mappings: a training's checkpoint has its state dicts two or three deep."""

DTYPES = {
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
}
WIDTHS = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


class TorchFormat(Format):
    """``torch.save`` of a state dict, or of a mapping that has one somewhere in it."""

    name = NAME
    suffixes = (".pt", ".pth")
    layout = "torch"

    @override
    def holds(self, path: Path, head: bytes, members: Collection[str]) -> bool:
        return head.startswith(BARE_PICKLE) or any(_is_pickle(member) for member in members)

    @override
    def tensors(self, path: Path) -> Mapping[str, Stored]:
        with path.open("rb") as file:
            if file.read(2) == BARE_PICKLE:
                raise CheckpointRefused(
                    "is a bare pickle, as torch.save wrote before torch 1.6; unpickling runs code",
                    "load it where you trust it, and torch.save its state_dict() anew",
                )
        with archive(path, NAME) as opened:
            pickles = [name for name in opened.namelist() if _is_pickle(name)]
            if len(pickles) != 1:
                hint = "it is TorchScript; save its state_dict()" if "constants.pkl" in str(opened.namelist()) else ""
                raise CheckpointRefused(f"cannot be read as {NAME}: it has {len(pickles)} data.pkl", hint)
            folder = pickles[0].removesuffix("data.pkl")
            root = followed(as_it_is(opened, pickles[0], MOST_PICKLE))
            names = opened.namelist()
            order = as_it_is(opened, f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
            sizes = {each.filename: each.file_size for each in opened.infolist()}
            reading = partial(_stored, path, folder, sizes, ">" if order == b"big" else "<")
            return {name: reading(name, tensor) for name, tensor in _tensors(root)}


def _is_pickle(member: str) -> bool:
    return member == "data.pkl" or member.endswith("/data.pkl")


def _tensors(value: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Made]]:
    """Yield the tensors in mappings of mappings; their names are the keys on the way, with dots between.

    Args:
        value: the value to search.
        path: the keys that lead there.
        seen: the mappings that were searched, since a mapping in many places could have any number of paths.
    """
    seen = set() if seen is None else seen
    if isinstance(value, Made) and value.what == "torch._utils _rebuild_parameter":
        value = value.arguments[0]
    if isinstance(value, Made) and value.what == "torch._utils _rebuild_tensor_v2":
        yield path, value
    elif isinstance(value, dict) and id(value) not in seen and len(seen) < MOST_MAPPINGS:
        seen.add(id(value))
        for key, below in value.items():
            if isinstance(key, str) and path.count(".") < DEEPEST:
                yield from _tensors(below, f"{path}.{key}" if path else key, seen)


def _stored(
    path: Path, folder: str, sizes: Mapping[str, int], order: Literal["<", ">"], name: str, tensor: Made
) -> Stored:
    storage, offset, shape, strides = tensor.arguments[:4]
    kind, key = storage.arguments[1], storage.arguments[2]
    numbers = [offset, *shape, *strides]
    if not all(type(each) is int and each >= 0 for each in numbers) or len(shape) != len(strides):
        raise CheckpointRefused(f"is damaged: the shape or the strides of {name} are none")
    if not isinstance(kind, Made) or not isinstance(key, str):
        raise CheckpointRefused(f"is damaged: the storage of {name} is none")
    own = kind.what.rpartition(" ")[2]
    if (dtype := DTYPES.get(own, "")) == "":
        return Stored(shape, own.removesuffix("Storage").lower(), bytes)
    member, width = f"{folder}data/{key}", WIDTHS[dtype]
    needed = offset + 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    there = sizes.get(member)
    if there is None:
        raise CheckpointRefused(f"is damaged: it has no {member}, which {name} needs")
    if 0 not in shape and needed * width > there:
        raise CheckpointRefused(f"is damaged: {name} needs {needed * width:,} bytes of {member}, which has {there:,}")
    count = 1
    for each in shape:
        count *= each
    if count * width > there:  # strides of 0 could give any size
        raise CheckpointRefused(
            f"has {name} expanded: {shape} of {there // width:,} numbers", "call contiguous() on it"
        )
    return Stored(shape, dtype, partial(_read, path, member, f"{order}u{width}", offset, shape, strides))


def _read(path: Path, member: str, pattern: str, offset: int, shape: Shape, strides: Shape) -> bytes:
    """Return the numbers of a tensor as little-endian bytes; ``pattern`` is the dtype of its storage's bit patterns."""
    with archive(path, NAME) as opened:
        storage = np.frombuffer(as_it_is(opened, member), pattern)
    if 0 in shape:
        return b""
    view: ndarray = np.lib.stride_tricks.as_strided(
        storage[offset:], shape, [stride * storage.itemsize for stride in strides], writeable=False
    )
    return view.astype(f"<u{storage.itemsize}").tobytes()


FORMAT = TorchFormat()
