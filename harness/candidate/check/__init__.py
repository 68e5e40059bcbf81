"""A user's own implementation against the baseline: the doing, and the page that says how it came out."""

from harness.candidate.check.candidate import introduced, process_of
from harness.candidate.check.order import simplest_first

__all__ = ["introduced", "process_of", "simplest_first"]
