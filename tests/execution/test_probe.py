"""The probe of ``harness doctor``: each implementation answers it, or says why it cannot."""

from harness.execution.probe import examine
from harness.execution.processes import Workers
from harness.implementations import NUMPY, implementations


def test_no_implementation_in_numpy_fails():
    ours = [each for each in implementations().values() if each.framework == NUMPY]
    with Workers(numpy_here=True) as workers:
        findings = {each["implementation"]: each for each in examine(ours, workers)}
    assert {each["status"] for each in findings.values()} == {"ok", "unsupported"}, findings
    for name in ("derived", "forward-mode", "numpy-split"):
        assert (findings[name]["status"], findings[name]["subnormals"]) == ("ok", "kept"), name
