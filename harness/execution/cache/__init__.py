"""Cached answers, from one run to the next, by the content of their questions."""

from harness.execution.cache.dependence import environment_of, sources_of, stamp_of_sources
from harness.execution.cache.store import Store, place

__all__ = ["Store", "environment_of", "place", "sources_of", "stamp_of_sources"]
