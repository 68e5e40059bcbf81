"""What an implementation's function returned, as NumPy arrays: arrays, lists, numbers, tensors of any framework.

No framework is imported: a tensor is known by its methods (``detach`` and ``cpu`` of torch, ``numpy`` of torch and
TensorFlow). What cannot be read is refused with its name, and the text says what should stand there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import DTypeLike


class NotReadable(TypeError):
    """What was returned is no loss, outputs and gradients by name; the text says why, and what should be there."""


def mapping_of(returned: Any) -> Mapping[Any, Any]:
    """Return what an implementation's function returned, if that is a mapping with something in it.

    Raises:
        NotReadable: if it is not.
    """
    if returned is None:
        raise NotReadable("returned None, not a dictionary {name: gradient}; did you forget `return`?")
    if not isinstance(returned, Mapping):
        raise NotReadable(f"returned {_a(returned)}, but should return a dictionary {{name: gradient}}")
    if not returned:
        raise NotReadable("returned an empty dictionary; any subset of loss, outputs and gradients would do")
    return returned


def arrays_of(returned: Any, dtype: DTypeLike | None = None) -> dict[str, ndarray]:
    """Read what an implementation's function returned.

    Args:
        returned: a mapping of names to arrays, lists, numbers or tensors.
        dtype: what Python's own numbers become, which have no dtype; float64 if None.

    Returns:
        Arrays of their own, by name.

    Raises:
        NotReadable: if it is no such mapping, or is empty.
    """
    return {str(name): array_of(name, value, dtype) for name, value in mapping_of(returned).items()}


def array_of(name: object, value: Any, dtype: DTypeLike | None = None) -> ndarray:
    """Read one value.

    Args:
        name: what it is called in the text of a refusal.
        value: an array, a nested list, a number, or a tensor.
        dtype: what Python's own numbers become; float64 if None.

    Returns:
        A copy, in the machine's byte order.

    Raises:
        NotReadable: if it is nothing of the kind, or its numbers are not real.
    """
    if value is None:
        raise NotReadable(f"{name} is None, but should be an array; leave out what was not computed")
    try:
        array = np.array(_leaves_as_arrays(name, value), copy=True)
    except NotReadable:
        raise
    except ValueError as error:
        ragged = "inhomogeneous" in str(error)
        why = "a nested list whose rows differ in length or shape" if ragged else f"{_a(value)}: {error}"
        raise NotReadable(f"{name} should be an array of real numbers, but is {why}") from None
    except Exception as error:  # whatever a foreign object does when it is asked for its numbers
        raise NotReadable(f"{name} is {_a(value)} that gives no array: {type(error).__name__}: {error}") from None
    if array.dtype.kind == "O":
        raise NotReadable(f"{name} should be an array of real numbers, but is {_a(value)} of dtype object")
    if array.dtype.kind not in "biuf":
        raise NotReadable(f"{name} should be an array of real numbers, but has dtype {array.dtype}")
    if _is_plain(value) and array.dtype.kind != "b":
        with np.errstate(over="ignore"):  # what overflows is judged where it is compared
            array = array.astype(dtype or np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _leaves_as_arrays(name: object, value: Any) -> Any:
    """Turn tensors into arrays, those inside lists, too."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray | np.generic) and callable(getattr(value, "numpy", None)):
        return value.numpy()
    if isinstance(value, list | tuple) and not _is_plain(value):
        return [_leaves_as_arrays(f"{name}[{i}]", each) for i, each in enumerate(value)]
    return value


def _is_plain(value: Any) -> bool:
    """Whether the numbers are Python's own, judged by the first of them."""
    while isinstance(value, list | tuple) and len(value):
        value = value[0]
    return type(value) in (int, float, bool)


def _a(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
