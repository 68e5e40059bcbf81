"""Whether the numbers come back in the dtype in which they went in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy import ndarray

from harness.trial.remark import Remark


def dtypes_kept(returned: Mapping[str, ndarray], dtype: str) -> Iterator[Remark]:
    """Name the tensors that came back in another dtype than the problem's, and say in which they are judged."""
    others: dict[str, list[str]] = {}
    for name, array in returned.items():
        if array.dtype != np.dtype(dtype):
            others.setdefault(array.dtype.name, []).append(name)
    for other, names in others.items():
        judged = ""
        if np.dtype(other).kind == "f":
            judged = f", and judged as {min(other, dtype, key=lambda each: np.finfo(each).nmant)}"
        yield Remark(f"dtype {dtype} {other}", f"{dtype} went in, {other} came out{judged}: {', '.join(names)}")
