"""Run pytest in the process that tries mutants."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import pytest

PYTEST = ["-x", "-qq", "--no-header", "--no-summary", "--tb=no", "-p", "no:cacheprovider"]
PYTEST += [
    "-p",
    "_hypothesis_pytestplugin",
    "-p",
    "pytest_timeout",
    "-p",
    "bptt_harness_plugin",
    "-m",
    "not framework and not full",
]


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Watching:
    """A plugin of pytest that chooses the tests and their order, and notes the first failure."""

    order: list[str] | None = None
    by: str = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen tests, in their order."""
        if self.order is not None:
            place = {name: at for at, name in enumerate(self.order)}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed and not self.by:
            self.by = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that could not be imported."""
        if report.failed and not self.by:
            self.by = f"{report.nodeid} (not collected)"


def prepare() -> None:
    """Import the other packages that the tests need, once for all forks."""
    import hypothesis.extra.numpy
    import numpy.testing
    import psutil
    import pydantic
    import safetensors.numpy
    import yaml

    del numpy, psutil, pydantic, safetensors, yaml
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Any counterexample is enough; the smallest takes many times as long. The same ones are drawn each time, so that a
    # test reaches the lines that it reached when it was traced.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutation", phases=phases, database=None, deadline=None, derandomize=True)
    hypothesis.settings.load_profile("mutation")
    ours = [name for name in sys.modules if name.partition(".")[0] in ("harness", "reference_impls")]
    assert not ours, f"imported before the fork: {ours}"
