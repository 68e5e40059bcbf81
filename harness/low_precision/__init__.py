"""Verdicts on gradients that a kernel computes in low precision: bfloat16, float16, float8 or tf32."""

from harness.low_precision.calling import NoAnswerError, called, checked
from harness.low_precision.checking import LowPrecision, assert_right, check
from harness.low_precision.full_size import check_at_full_size

__all__ = ["LowPrecision", "NoAnswerError", "assert_right", "called", "check", "check_at_full_size", "checked"]
