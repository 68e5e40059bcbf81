"""A problem in a notebook: its case in words, a table of its arrays, and heatmaps of its weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.case.gates import gates_of
from harness.markup import Html, element, heatmap, heatmaps, output, table
from harness.problem.problem import Problem


def html_of(problem: Problem) -> str:
    """Return the HTML of a problem."""
    return output(*_parts(problem))


def in_words(problem: Problem) -> str:
    """Return the cell, the sizes and the dtype of a problem: ``rnn, B 2, T 7, I 3, H 5, float64``."""
    case, sizes = problem.case, problem.case.sizes
    if case.recurrence is not None:
        letters = {"B": sizes.batch, "T": sizes.time, **case.recurrence["sizes"]}
        letters |= {} if sizes.output is None else {"output": sizes.output}
    else:
        named = {"B": sizes.batch, "T": sizes.time, "I": sizes.input, "H": sizes.hidden, "O": sizes.output}
        letters = {letter: size for letter, size in named.items() if size is not None}
    layers = [f"{case.layers} layers"] if case.layers > 1 else []
    directions = ["bidirectional"] if case.bidirectional else []
    return ", ".join([case.cell, *layers, *directions, *(f"{letter} {n}" for letter, n in letters.items()), case.dtype])


def _parts(problem: Problem) -> Iterator[Html]:
    case = problem.case
    yield element("p", element("strong", case.name), f": {in_words(problem)}")
    if case.about:
        yield element("p", case.about)
    yield element("p", f"loss {case.loss.kind}, weights in the layout {problem.layout}", class_="faint")
    arrays = problem.spelled
    yield table(
        ("array", "shape", "smallest", "largest"),
        [
            (name, " × ".join(map(str, each.shape)), f"{np.min(each):.3g}", f"{np.max(each):.3g}")
            for name, each in arrays.items()
            if each.size
        ],
    )
    maps = [
        heatmap(name, each.shape, each, gates=gates_of(case, name) if problem.layout == "split" else ())
        for name, each in problem.weights.items()
        if each.size
    ]
    if maps:
        yield element("details", element("summary", "Weights; a stronger colour is a larger magnitude"), heatmaps(maps))
