"""Problems: cases whose arrays all exist, in one canonical layout."""

from harness.problem.batches import Batches
from harness.problem.building import build
from harness.problem.problem import NativeWeights, Problem

__all__ = ["Batches", "NativeWeights", "Problem", "build"]
