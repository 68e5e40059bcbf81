"""Comparing results: metrics, the verdict on them, and both put together."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.comparison.comparison import Comparison, ComparisonPolicy, TensorComparison, compare
    from harness.comparison.metrics import Collect, Elements, Metrics, measure, ulp_distance
    from harness.comparison.verdict import SEVERITY, Verdict

__all__ = [
    "SEVERITY",
    "Collect",
    "Comparison",
    "ComparisonPolicy",
    "Elements",
    "Metrics",
    "TensorComparison",
    "Verdict",
    "compare",
    "measure",
    "ulp_distance",
]

__getattr__ = by_module(
    __name__,
    {
        "comparison": (
            "Comparison",
            "ComparisonPolicy",
            "TensorComparison",
            "compare",
        ),
        "metrics": (
            "Collect",
            "Elements",
            "Metrics",
            "measure",
            "ulp_distance",
        ),
        "verdict": (
            "SEVERITY",
            "Verdict",
        ),
    },
)
