"""A diagnosis in a notebook: the fault, its explanation, and the residual of each tensor that it explains."""

from __future__ import annotations

import math
from collections.abc import Iterator

from harness.diagnosis.explanation import UNEXPLAINED, Diagnosis
from harness.markup import Html, element, output, table


def html_of(diagnosis: Diagnosis) -> str:
    """Return the HTML of a diagnosis."""
    return output(*parts(diagnosis))


def parts(diagnosis: Diagnosis) -> Iterator[Html]:
    """Yield the parts of the HTML of a diagnosis."""
    name = "unknown" if diagnosis.fault == UNEXPLAINED else diagnosis.fault
    sentence = f" {diagnosis.start[0].upper()}{diagnosis.start[1:]}." if diagnosis.start else ""
    start = sentence if diagnosis.start not in diagnosis.explanation else ""
    cause = element("strong", name)
    yield element("div", "Likely cause: ", cause, f": {diagnosis.explanation}", start, class_="note")
    residuals = [(tensor, each) for tensor, each in diagnosis.residuals.items() if math.isfinite(each)]
    if residuals:
        rows = [(tensor, f"{each:.1e}") for tensor, each in residuals]
        yield table(("explained tensor", "residual, relative to its largest element"), rows)
    if diagnosis.declare:
        yield element("p", "If this is intended, declare it in the case: ", element("code", diagnosis.declare))
