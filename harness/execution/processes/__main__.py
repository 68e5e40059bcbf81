"""The worker process: imports one framework, then answers requests until its input ends."""

from __future__ import annotations

import sys

from harness.execution.processes.answering import answered
from harness.execution.processes.serving import modules_of, serve


def main(framework: str) -> None:
    """Serve one framework until the harness is gone."""
    serve(modules_of(framework), answered)


if __name__ == "__main__":
    main(sys.argv[1])
