"""Convert the values that an implementation returned to NumPy arrays: arrays, lists, numbers, any framework's tensors.

No framework is imported: a tensor is recognised by its methods (``detach`` and ``cpu`` of torch, ``numpy`` of torch and
TensorFlow). A value that cannot be read is refused; the message has its name and says what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike

from harness.terminal.text import LONGEST_NAME, fit

PLAIN = (int, float, bool)
"""Python's own numbers, which have no dtype."""

WITHOUT_UNIT = ("", "dimensionless")
"""Units, as they are written, that change no number."""


class NotReadable(TypeError):
    """An answer is not a mapping of names to arrays; the text gives the reason and the right form."""


def mapping_of(returned: Any) -> Mapping[Any, Any]:
    """Return an answer after checking that it is a mapping and not empty.

    Raises:
        NotReadable: If it is not.
    """
    if returned is None:
        raise NotReadable("returned None, not a dictionary {name: gradient}; did you forget `return`?")
    if not isinstance(returned, Mapping):
        raise NotReadable(f"returned {_a(returned)}, but should return a dictionary {{name: gradient}}")
    if not returned:
        raise NotReadable("returned an empty dictionary; any subset of loss, outputs and gradients would do")
    return returned


def named(returned: Any) -> dict[str, Any]:
    """Return an answer by names that are distinct, encodable and of limited length.

    Raises:
        NotReadable: If it is no mapping, is empty, or has a key that cannot be written as text.
    """
    names: dict[str, Any] = {}
    for key, value in mapping_of(returned).items():
        try:
            name = written = fit(" ".join(str(key).split("\n")), LONGEST_NAME)
        except Exception as error:  # a foreign object may raise anything when it gives its name
            raise NotReadable(f"a key is {_a(key)} that gives no name: {type(error).__name__}: {error}") from None
        count = 1
        while name in names:  # 1 and "1", or long names that differ in the part that was cut
            count += 1
            name = f"{written} ({count})"
        names[name] = value
    return names


def array_of(name: object, value: Any, dtype: DTypeLike | None = None) -> ndarray:
    """Read one value.

    Args:
        name: The value's name in messages.
        value: An array, a nested list, a number, or a tensor.
        dtype: The dtype for Python's own numbers; float64 if None.

    Returns:
        A copy, in the machine's byte order.

    Raises:
        NotReadable: If it is none of these, or its numbers are not real.
    """
    if value is None:
        raise NotReadable(f"{name} is None, but should be an array; leave out what was not computed")
    try:
        plain = _is_plain(value)
        array = np.array(value if plain else _leaves_as_arrays(str(name), value), copy=True)
    except NotReadable:
        raise
    except ValueError as error:
        ragged = "inhomogeneous" in str(error)
        why = "a nested list whose rows differ in length or shape" if ragged else f"{_a(value)}: {error}"
        raise NotReadable(f"{name} should be an array of real numbers, but is {why}") from None
    except Exception as error:  # a foreign object may raise anything when it gives its numbers
        raise NotReadable(f"{name} is {_a(value)} that gives no array: {type(error).__name__}: {error}") from None
    if array.dtype.kind == "O":
        raise NotReadable(f"{name} should be an array of real numbers, but is {_a(value)} of dtype object")
    if array.dtype.kind not in "biuf":
        raise NotReadable(f"{name} should be an array of real numbers, but has dtype {array.dtype}")
    if plain and array.dtype.kind != "b":
        with np.errstate(over="ignore"):  # what overflows is judged where it is compared
            array = array.astype(dtype or np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _leaves_as_arrays(name: str, value: Any) -> Any:
    """Convert tensors to arrays, inside lists, too.

    Raises:
        NotReadable: If an array has more than its numbers, such as a mask or a unit, which would be lost in silence.
    """
    if isinstance(value, list | tuple):
        return value if _is_plain(value) else [_leaves_as_arrays(f"{name}[{i}]", each) for i, each in enumerate(value)]
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        if callable(getattr(value, "get_mask", None)):
            raise _masked(name, value, "")
        held = value.detach().cpu()
        return (held.float() if str(held.dtype) == "torch.bfloat16" else held).numpy()  # float32 holds its numbers
    if not isinstance(value, np.ndarray | np.generic) and callable(getattr(value, "numpy", None)):
        return _widened(value.numpy())
    unit = getattr(value, "units", getattr(value, "unit", None))
    if unit is not None and not callable(unit) and str(unit) not in WITHOUT_UNIT:
        raise NotReadable(f"{name} is {_a(value)} in the unit {unit}, which is not compared; return its numbers alone")
    array = value if type(value) in PLAIN else np.asanyarray(value)
    if isinstance(array, np.ma.MaskedArray) and (count := int(np.ma.getmaskarray(array).sum())):
        raise _masked(name, array, f", {count} of {array.size} elements masked")
    return _widened(array) if isinstance(array, np.ndarray) else array


def _widened(array: ndarray) -> ndarray:
    """Return an array of bfloat16, a dtype that NumPy takes from others, in float32, which holds its numbers."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _masked(name: str, value: Any, extent: str) -> NotReadable:
    return NotReadable(
        f"{name} is {_a(value)}{extent}: a gradient has no masked elements; return zeros where there is none, or "
        "harness.Partial(values, known) if only some elements are known"
    )


def _is_plain(value: Any) -> bool:
    """Return whether all numbers are Python's own."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return type(value) in PLAIN


def _a(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
