"""The difference of two shapes in words: a transpose, a missing axis, a sum that was left out."""

from __future__ import annotations

from harness.tensors import Shape


def mistake(shape: Shape, expected: Shape) -> str:
    """Say that a tensor has one shape and should have another, with the likely cause."""
    hint = _hint(shape, expected)
    return f"has shape {shape}, but should have {expected}" + (f"; {hint}" if hint else "")


def _hint(shape: Shape, expected: Shape) -> str:
    if len(shape) == 2 and shape == expected[::-1]:
        return "it is the transpose, or has the shape of it"
    if len(shape) == len(expected) and sorted(shape) == sorted(expected):
        return "its axes are in another order"
    without_ones = [size for size in shape if size != 1]
    if without_ones == [size for size in expected if size != 1]:
        return "an axis of length 1 is too many" if len(shape) > len(expected) else "an axis of length 1 is missing"
    if len(shape) > len(expected) and shape[len(shape) - len(expected) :] == expected:
        return "it is not summed over its leading axes (batch, time)"
    if shape == expected[1:] and len(expected) == 3:
        return "the batch axis, or one sequence of it, is missing"
    return ""
