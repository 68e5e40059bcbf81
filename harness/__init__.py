"""A gradient verification harness for recurrent networks.

The data moves one way: case file → case → problem → implementation → result → comparison → diagnosis → report.
``docs/architecture.md`` describes the folders.
"""

from __future__ import annotations

TYPE_CHECKING = False  # not from typing: the command line handles Ctrl-C once this is imported
if TYPE_CHECKING:
    from typing import Any

    from harness.api import (
        Case,
        HarnessWarning,
        ImplementationFailed,
        assert_gradients_match,
        check_function,
        compare,
        diagnose,
        load_case,
        load_cases,
        make_case,
        run,
    )
    from harness.candidate.check.function import Check, check_implementation
    from harness.casefile import MistakesFound
    from harness.comparison import Comparison
    from harness.diagnosis import Diagnosis
    from harness.implementations import Partial, Unsupported, implementation
    from harness.problem import Problem
    from harness.recurrences import Recurrence, recurrence
    from harness.result import Result

_HOMES = {
    "Case": "harness.api",
    "Check": "harness.candidate.check.function",
    "Comparison": "harness.comparison",
    "Diagnosis": "harness.diagnosis",
    "HarnessWarning": "harness.api",
    "ImplementationFailed": "harness.api",
    "MistakesFound": "harness.casefile",
    "Partial": "harness.implementations",
    "Problem": "harness.problem",
    "Recurrence": "harness.recurrences",
    "Result": "harness.result",
    "Unsupported": "harness.implementations",
    "assert_gradients_match": "harness.api",
    "check_function": "harness.api",
    "check_implementation": "harness.candidate.check.function",
    "compare": "harness.api",
    "diagnose": "harness.api",
    "implementation": "harness.implementations",
    "load_case": "harness.api",
    "load_cases": "harness.api",
    "make_case": "harness.api",
    "recurrence": "harness.recurrences",
    "run": "harness.api",
}

__all__ = [
    "Case",
    "Check",
    "Comparison",
    "Diagnosis",
    "HarnessWarning",
    "ImplementationFailed",
    "MistakesFound",
    "Partial",
    "Problem",
    "Recurrence",
    "Result",
    "Unsupported",
    "assert_gradients_match",
    "check_function",
    "check_implementation",
    "compare",
    "diagnose",
    "implementation",
    "load_case",
    "load_cases",
    "make_case",
    "recurrence",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the import of the package is fast."""
    if name == "torch":  # a module, which imports torch
        from importlib import import_module

        return import_module("harness.torch")
    if name not in _HOMES:
        from harness.casefile import nearest

        hint = nearest(name, __all__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint and f'; {hint}'}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
