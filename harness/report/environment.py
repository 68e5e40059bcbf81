"""The environment of a run: ``environment.json``."""

from __future__ import annotations

import os
import platform
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.execution.cache.dependence import system
from harness.execution.processes.launching import ONE_THREAD

if TYPE_CHECKING:
    from harness.execution.session import Run

FILE = "environment.json"

FIELDS = {
    "baseline": str,
    "frameworks": dict,
    "processes": dict,
    "seconds": float,
    "seconds_to_import": dict,
}
"""The fields that are read back, each with its kind."""


def described(run: Run) -> dict[str, Any]:
    """Return the environment of a run as JSON can hold it."""
    from importlib.metadata import version  # takes as long as the rest of a short run, and so does the next

    import psutil

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "harness": version("bptt-harness"),
        "python": platform.python_version(),
        "platform": system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "frameworks": {name: dict(versions) for name, versions in sorted(run.versions.items())},
        "subnormals": dict(run.subnormals),
        "threads": {name: os.environ.get(name, default) for name, default in ONE_THREAD.items()},
        "executor": run.executor,
        "machines": [dict(each) for each in run.machines],
        "baseline": run.baseline,
        "implementations": list(run.implementations),
        "processes": dict(run.processes),
        "floors": dict(Counter(outcome.floors.source or "none" for outcome in run.outcomes)),
        "cases": len(run.outcomes),
        "seconds": run.seconds,
        "seconds_to_import": dict(sorted(run.seconds_to_import.items())),
    }
