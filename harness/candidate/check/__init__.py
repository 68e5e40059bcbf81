"""A user's own implementation against the baseline: the doing, and the page that says how it came out."""

from harness.candidate.check.candidate import introduced, made_cases, process_of, routes
from harness.candidate.check.order import simplest_first
from harness.candidate.check.suited import reason_against, suited

__all__ = ["introduced", "made_cases", "process_of", "reason_against", "routes", "simplest_first", "suited"]
