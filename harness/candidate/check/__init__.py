"""A user's own implementation compared with the baseline, and the page with the result."""

from harness.candidate.check.candidate import introduced, made_cases, process_of, routes
from harness.candidate.check.order import simplest_first

__all__ = ["introduced", "made_cases", "process_of", "routes", "simplest_first"]
