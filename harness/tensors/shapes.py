"""The difference of two shapes in words: a transpose, a missing axis, a sum that was left out."""

from __future__ import annotations

from harness.tensors import Shape


def mistake(shape: Shape, expected: Shape) -> str:
    """Say that a tensor has one shape and should have another, with the likely cause."""
    hint = _hint(shape, expected)
    return f"has shape {shape}, but should have {expected}" + (f"; {hint}" if hint else "")


def _axes(count: int) -> str:
    return "an axis" if count == 1 else f"{count} axes"


def _hint(shape: Shape, expected: Shape) -> str:
    if len(shape) == 2 and shape == expected[::-1]:
        return "it is the transpose, or has the shape of it"
    if len(shape) == len(expected) and sorted(shape) == sorted(expected):
        return "its sizes are in another order"
    without_ones = [size for size in shape if size != 1]
    if without_ones == [size for size in expected if size != 1]:
        return "an axis of length 1 is too many" if len(shape) > len(expected) else "an axis of length 1 is missing"
    if len(shape) > len(expected) and shape[len(shape) - len(expected) :] == expected:
        return f"it has {_axes(len(shape) - len(expected))} too many in front"
    if len(expected) == 3 and shape == expected[1:] and expected[0] != expected[1]:  # else it may as well be the steps'
        return "the batch axis is missing"
    if len(expected) == 3 and shape == (expected[0], expected[2]) and expected[0] != expected[1]:
        return "it is that of one step alone"
    return ""
