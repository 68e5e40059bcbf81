"""Problems: cases whose arrays all exist, in one canonical layout."""

from harness.problem.batches import Batches
from harness.problem.problem import NativeWeights, Problem, build

__all__ = ["Batches", "NativeWeights", "Problem", "build"]
