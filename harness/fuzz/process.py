"""The process that screens random cases: imports one framework, then answers requests until its input ends."""

from __future__ import annotations

import sys
import time
import warnings
from importlib import import_module
from typing import Any

import numpy as np

from harness.fuzz.candidates import Drawing
from harness.fuzz.screening import screened
from harness.implementations import implementations
from harness.worker.child import end_with_parent, opened_channel, version_of
from harness.worker.transport import ChannelClosedError


def main(framework: str) -> None:
    """Serve one framework until the harness is gone."""
    channel = opened_channel()
    end_with_parent()
    np.seterr(all="ignore")  # what overflows is judged where it is compared,
    warnings.simplefilter("ignore")  # and what is said of it a thousand times is read by nobody
    start = time.perf_counter()
    modules = next(each.framework.modules for each in implementations().values() if each.framework.name == framework)
    for module in modules:
        import_module(module)
    channel.send({"versions": {each: version_of(each) for each in modules}, "seconds": time.perf_counter() - start})
    while True:
        try:
            request = channel.receive()
        except ChannelClosedError:
            return
        channel.send(_answered(framework, dict(request.header)))


def _answered(framework: str, header: dict[str, Any]) -> dict[str, Any]:
    there = implementations()
    found = screened(
        Drawing(header["seed"], header["fixed"], header["frameworks"]),
        range(header["first"], header["last"]),
        there[header["baseline"]],
        [there[name] for name in header["implementations"]],
        framework,
    )
    return {"suspects": found.suspects, "compared": found.compared, "elsewhere": found.elsewhere}


if __name__ == "__main__":
    main(sys.argv[1])
