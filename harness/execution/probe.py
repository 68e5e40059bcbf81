"""Probe: run each implementation on a problem of one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.case import Loss, Sizes, ValidCase
from harness.execution.processes import Asking
from harness.execution.session import Run
from harness.implementations import Implementation, install_line, missing_modules
from harness.problem import build

SUBNORMAL = 1e-310
"""Between zero and the least normal float64, 2.2e-308."""


def examine(implementations: Sequence[Implementation], asking: Asking) -> list[dict[str, str]]:
    """Run each implementation once; return whether it works, and its treatment of a subnormal gradient.

    With one unit, one step, relu at a positive pre-activation and weights of one, the upstream gradient arrives at the
    initial state as it is. A subnormal one arrives as zero where the framework flushes subnormals.
    """
    case = ValidCase(
        name="probe",
        file="probe",
        sizes=Sizes(batch=1, time=1, input=1, hidden=1),
        activation="relu",
        weights="ones",
        inputs="ones",
        initial_state="ones",
        loss=Loss(kind="dot"),
        upstream={"fill": SUBNORMAL},
    )
    problem = build(case, asking.native_weights)
    can_run = [
        each.framework
        for each in implementations
        if not missing_modules(each.framework) and not each.framework.reason_against_machine
    ]
    asking.start({each.name: each for each in can_run}.values())
    findings = []
    for each in implementations:
        missing = missing_modules(each.framework)
        finding = {"implementation": each.name, "status": "ok", "subnormals": "", "reason": ""}
        if reason := each.framework.reason_against_machine:
            finding |= {"status": "missing", "reason": reason}
        elif missing:
            finding |= {"status": "missing", "reason": f"{missing[0]} is not installed; {install_line(each.framework)}"}
        else:
            outcome = asking.run(each, problem)
            finding |= {"status": outcome.status, "reason": outcome.reason}
            gradient = outcome.result.gradients.get("layer0.h0") if outcome.result else None
            if gradient is not None and gradient.size == 1:
                finding["subnormals"] = {SUBNORMAL: "kept", 0.0: "flushed to zero"}.get(
                    float(np.asarray(gradient).reshape(())), "altered"
                )
        findings.append(finding)
    return findings


def subnormals(run: Run, implementations: Sequence[Implementation], asking: Asking) -> dict[str, str]:
    """Return the treatment of subnormal numbers by each implementation that answered a case of a run."""
    answered = {each.implementation for outcome in run.outcomes for each in outcome.judged if each.status == "ok"}
    findings = examine([each for each in implementations if each.name in answered], asking)
    return {each["implementation"]: each["subnormals"] for each in findings if each["subnormals"]}
