"""A result in a notebook: its loss, a table of its tensors, and heatmaps of its gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from harness.case.gates import gates_of
from harness.markup import Html, element, heatmap, heatmaps, output, table
from harness.result.result import Result


def html_of(result: Result) -> str:
    """Return the HTML of a result."""
    return output(*_parts(result))


def _parts(result: Result) -> Iterator[Html]:
    name = result.implementation.name if result.implementation is not None else "Result"
    of = f" of {result.problem.case.name}" if result.problem is not None else ""
    loss = f"loss {result.loss}" if result.loss is not None and result.loss.shape == () else "no loss"
    yield element("p", element("strong", name), f"{of}: {loss}, {len(result.gradients)} gradients")
    tensors = result.tensors
    yield table(
        ("tensor", "shape", "dtype", "largest magnitude", "remark"),
        [
            (name, " × ".join(map(str, each.shape)), each.dtype, _largest(each), result.misfits.get(name, ""))
            for name, each in tensors.items()
        ],
        [name in result.misfits for name in tensors],
    )
    case = None if result.problem is None else result.problem.case
    maps = [
        heatmap(name, each.shape, each, gates=gates_of(case, name) if case is not None else ())
        for name, each in result.gradients.items()
        if each.size and each.dtype.kind in "fiu"
    ]
    if maps:
        yield element(
            "details", element("summary", "Gradients; a stronger colour is a larger magnitude"), heatmaps(maps)
        )


def _largest(array: ndarray) -> str:
    """Return the largest magnitude; ``nan`` if an element is NaN."""
    if not array.size or array.dtype.kind not in "fiu":
        return ""
    return f"{np.abs(array.astype(np.float64)).max():.3g}"
