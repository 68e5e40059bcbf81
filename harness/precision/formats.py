"""The number formats that kernels round to, and where an implementation rounds.

IEEE 754-2019 has float16. bfloat16: Wang and Kanwar 2019, "BFloat16: the secret to high performance on Cloud TPUs".
tf32: Krashinsky et al. 2020, "NVIDIA Ampere architecture in-depth". The two formats of float8: Micikevicius et al.
2022, "FP8 formats for deep learning".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy import ndarray

from harness.casefile import listed, nearest

FLOAT32_LEAST = -126
"""The exponent of float32's smallest normal number."""


@dataclass(frozen=True)
class NumberFormat:
    """A binary floating-point format.

    Attributes:
        name: The name, torch's where torch has it.
        digits: The number of significant binary digits, the leading one included.
        least: The exponent of the smallest normal number, as in 2**least.
        largest: The largest finite number.
        truncates: True if digits are cut off, so that numbers are rounded toward zero.
    """

    name: str
    digits: int
    least: int
    largest: float
    truncates: bool = False

    @property
    def unit(self) -> float:
        """The unit roundoff, relative: the largest relative error of one rounding of a normal number."""
        return 2.0 ** (1 - self.digits if self.truncates else -self.digits)

    def round(self, array: ndarray) -> ndarray:
        """Return the nearest numbers of the format, ties to even, or the next toward zero, in the array's own dtype.

        Numbers beyond the largest become infinite, and numbers below the smallest normal one have fewer digits.
        """
        mantissa, exponent = np.frexp(array)  # |mantissa| in [1/2, 1)
        exponent = np.maximum(exponent, self.least + 1)
        ulp = np.ldexp(np.ones_like(mantissa), exponent - self.digits)
        with np.errstate(invalid="ignore"):
            rounded = (np.trunc if self.truncates else np.rint)(array / ulp) * ulp
            return np.where(np.abs(rounded) > self.largest, np.copysign(np.inf, array), rounded).astype(array.dtype)

    def limited(self, array: ndarray) -> ndarray:
        """Return float64 numbers within the format's range: on its grid below the smallest normal one, else as given.

        Numbers beyond the largest become infinite. The ranges of float32 and bfloat16 count as that of float64.
        """
        if self.least <= FLOAT32_LEAST:
            return array
        grid = 2.0 ** (self.least - self.digits + 1)
        size = np.abs(array)
        found = np.where(size < 2.0**self.least, np.rint(array / grid) * grid, array)
        return np.where(size > self.largest, np.copysign(np.inf, array), found)


TRUNCATED = "-truncated"
"""The end of the names of formats that cut digits off: some tensor cores do, and Triton's interpreter does."""

FORMATS: Mapping[str, NumberFormat] = {
    each.name: each
    for each in (
        NumberFormat("float64", 53, -1022, float(np.finfo(np.float64).max)),
        NumberFormat("float32", 24, -126, float(np.finfo(np.float32).max)),
        NumberFormat("tf32", 11, -126, float(np.finfo(np.float32).max)),
        NumberFormat("float16", 11, -14, 65504.0),
        NumberFormat("bfloat16", 8, -126, float(2**127 * (2 - 2**-7))),
        NumberFormat("float8_e4m3fn", 4, -6, 448.0),
        NumberFormat("float8_e5m2", 3, -14, 57344.0),
        NumberFormat("bfloat16" + TRUNCATED, 8, -126, float(2**127 * (2 - 2**-7)), truncates=True),
        NumberFormat("tf32" + TRUNCATED, 11, -126, float(np.finfo(np.float32).max), truncates=True),
    )
}
"""The formats by name."""

PRODUCTS = ("matmul", "einsum")
"""The operations whose operands tensor cores round."""

TF32 = ("tf32", "tf32" + TRUNCATED)
"""The formats of the operands of products alone."""

STORED = "stored"
"""The place of arrays that an implementation receives and returns."""

CARRIED = "carry"
"""The place of states that an implementation hands from one step to the next."""


@dataclass(frozen=True)
class Rounds:
    """The places where an implementation rounds, and their formats.

    Attributes:
        by_default: The format of every operation that ``operations`` does not list.
        operations: The format by operation: a name of the namespace such as ``matmul``, ``tanh`` or ``multiply``,
            ``carry`` for states between steps, ``stored`` for arrays that come in and gradients that go out.
    """

    by_default: NumberFormat
    operations: Mapping[str, NumberFormat] = field(default_factory=dict)

    @classmethod
    def of(cls, declared: str | Mapping[str, str]) -> Rounds:
        """Read a declaration.

        Args:
            declared: The format of all operations, or formats by operation, with ``default`` for all others. ``tf32``
                stands for products alone, the rest being float32. The default of a mapping is float32.

        Raises:
            ValueError: If a format or an operation is unknown.
        """
        if declared in TF32:
            declared = dict.fromkeys(PRODUCTS, declared)
        if isinstance(declared, str):
            return cls(_format(declared))
        given: object = declared  # whatever a user wrote, such as torch.bfloat16
        if not isinstance(given, Mapping):
            raise ValueError(f"rounds is {given!r}, but should be a format's name, {listed(map(repr, FORMATS))}")
        known = ("default", STORED, CARRIED, *operations())
        for name in declared:
            if name not in known:
                hint = nearest(str(name), known) or f"there are {listed(known)}"
                raise ValueError(f"rounds has {name!r}, which is no operation; {hint}")
        formats = {name: _format(format) for name, format in declared.items()}
        return cls(formats.pop("default", FORMATS["float32"]), formats)

    def at(self, operation: str) -> NumberFormat:
        """Return the format of an operation."""
        return self.operations.get(operation, self.by_default)

    @property
    def stored(self) -> NumberFormat:
        """The format of arrays that come in and of gradients that go out."""
        return self.at(STORED)

    @property
    def coarsest(self) -> NumberFormat:
        """The format with the fewest digits."""
        return min((self.by_default, *self.operations.values()), key=lambda each: each.digits)

    def __str__(self) -> str:
        if not self.operations:
            return self.by_default.name
        own = ", ".join(f"{name} in {each.name}" for name, each in self.operations.items())
        return f"{own}, the rest in {self.by_default.name}"


def operations() -> tuple[str, ...]:
    """Return the names of the operations that a step can use and that round."""
    from harness.derive.namespaces import BINARY, UNARY

    operators = ("add", "subtract", "multiply", "divide", "power", "where", "sum", "mean")
    return (*PRODUCTS, *UNARY, *BINARY, *operators)


def _format(name: str) -> NumberFormat:
    if name not in FORMATS:
        hint = nearest(str(name), FORMATS) or f"there are {listed(FORMATS)}"
        raise ValueError(f"there is no number format {name!r}; {hint}")
    return FORMATS[name]
