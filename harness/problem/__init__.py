"""Cases made concrete: every array exists, in one canonical layout."""

from harness.problem.problem import NativeWeights, Problem, build

__all__ = ["NativeWeights", "Problem", "build"]
