"""The process that screens random cases: it imports one framework, then answers requests until its input ends."""

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
    """Serve one framework until the harness ends."""
    np.seterr(all="ignore")  # overflows are judged by the comparison,
    warnings.simplefilter("ignore")  # so a thousand warnings are useless
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
