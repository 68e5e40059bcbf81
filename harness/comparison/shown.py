"""A comparison in a notebook: its verdict, a table of its tensors, and where the wrong elements are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.case.gates import gates_of
from harness.comparison.comparison import Comparison, TensorComparison
from harness.markup import Html, element, heatmap, heatmaps, output, table, verdict

HEADS = ("tensor", "shape", "verdict", "error ratio", "wrong elements", "worst at", "actual", "expected", "allowed")
MOST_MAPS = 12
"""Maximum number of heatmaps: those of the tensors that are off most."""


def html_of(comparison: Comparison) -> str:
    """Return the HTML of a comparison."""
    return output(*parts(comparison))


def parts(comparison: Comparison) -> Iterator[Html]:
    """Yield the parts of the HTML of a comparison."""
    first, *_ = str(comparison).splitlines()
    word, _, rest = first.partition(":")
    yield verdict(word, rest)
    ordered = [*comparison.disagreements, *(each for each in comparison.tensors if each.verdict == "match")]
    yield table(HEADS, [_row(each) for each in ordered], [each.verdict != "match" for each in ordered])
    for each in comparison.disagreements:
        if each.metrics is None:
            yield element("p", f"{each.tensor} {each.reason}")
    maps = [_map(each, comparison) for each in comparison.disagreements if each.metrics and each.metrics.collected]
    if maps:
        yield element("p", "Elements outside the tolerance; a stronger colour is a larger error.", class_="faint")
        yield heatmaps(maps[:MOST_MAPS])
    if comparison.not_provided:
        yield element("p", f"Not returned, so not compared: {', '.join(comparison.not_provided)}", class_="faint")


def _row(each: TensorComparison) -> list[object]:
    shape = " × ".join(map(str, each.shape)) or "scalar"
    if each.metrics is None:
        return [each.tensor, shape, each.verdict, "", "", "", "", "", ""]
    m, wrong = each.metrics, each.verdict != "match"
    at = f"[{', '.join(map(str, each.worst_index))}]" if wrong and each.worst_index else ""
    failed = f"{each.failed:,} of {each.elements:,}" if each.failed else "none"
    numbers = [each.written(m.actual), each.written(m.expected), f"{m.allowed:.3g}"] if wrong else ["", "", ""]
    return [each.tensor, shape, each.verdict, f"{m.error_ratio:.3g}", failed, at, *numbers]


def _map(each: TensorComparison, comparison: Comparison) -> Html:
    assert each.metrics is not None
    collected = each.metrics.collected
    off = [~part.ok for part in collected]
    at = np.concatenate([part.position[wrong] for part, wrong in zip(collected, off, strict=True)])
    errors = np.concatenate([part.abs_error[wrong] for part, wrong in zip(collected, off, strict=True)])
    gates = gates_of(comparison.case, each.tensor) if comparison.case is not None else ()
    return heatmap(each.tensor, each.shape, errors, at=at, gates=gates)
