"""Problems: cases whose arrays all exist, in one canonical layout."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.problem.batches import Batches
    from harness.problem.building import build
    from harness.problem.problem import NativeWeights, Problem

__all__ = ["Batches", "NativeWeights", "Problem", "build"]

__getattr__ = by_module(
    __name__,
    {
        "batches": ("Batches",),
        "building": ("build",),
        "problem": (
            "NativeWeights",
            "Problem",
        ),
    },
)
