"""A user's own implementation compared with the baseline, and the page with the result."""

from harness.candidate.check.candidate import introduced, loaded_cases, made_cases, process_of, routes
from harness.candidate.check.order import simplest_first
from harness.candidate.check.suited import reason_against, suited

__all__ = ["introduced", "loaded_cases", "made_cases", "process_of", "reason_against", "routes"]
__all__ += ["simplest_first", "suited"]
