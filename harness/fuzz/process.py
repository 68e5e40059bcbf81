"""The process that screens random cases: imports one framework, then answers requests until its input ends."""

from __future__ import annotations

import sys
import warnings
from functools import partial

import numpy as np

from harness.execution.processes.serving import Answer, modules_of, serve
from harness.execution.processes.transport import Message
from harness.fuzz.candidates import Drawing
from harness.fuzz.screening import screened
from harness.implementations import implementations


def main(framework: str) -> None:
    """Serve one framework until the harness is gone."""
    np.seterr(all="ignore")  # what overflows is judged where it is compared,
    warnings.simplefilter("ignore")  # and what is said of it a thousand times is read by nobody
    serve(modules_of(framework), partial(_answered, framework))


def _answered(framework: str, request: Message) -> Answer:
    there, header = implementations(), request.header
    found = screened(
        Drawing(header["seed"], header["fixed"], header["frameworks"]),
        range(header["first"], header["last"]),
        there[header["baseline"]],
        [there[name] for name in header["implementations"]],
        framework,
    )
    return {"suspects": found.suspects, "compared": found.compared, "elsewhere": found.elsewhere}, {}


if __name__ == "__main__":
    main(sys.argv[1])
