"""Comparing results: metrics, the verdict on them, and both put together."""

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
