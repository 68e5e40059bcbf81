"""Verdicts on gradients that a kernel computes in low precision: bfloat16, float16, float8 or tf32."""

from harness.low_precision.checking import LowPrecision, check
from harness.low_precision.formats import FORMATS, Format, Rounds

__all__ = ["FORMATS", "Format", "LowPrecision", "Rounds", "check"]
