"""JSON that every parser reads, in every encoding."""

from __future__ import annotations

import math
import sys
from typing import Any


def write_json(value: Any, *, indent: int = 2) -> None:
    """Write a value to standard output as JSON in ASCII.

    JSON has no NaN and no infinity. They become the strings NaN, Infinity and -Infinity, which Python's ``float`` and
    JavaScript's ``Number`` read.
    """
    import json

    try:
        text = json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), indent=indent, allow_nan=False)
    sys.stdout.write(f"{text}\n")


def _finite(value: Any) -> Any:
    """Return a value with names in place of the floats that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
