"""Processes for each framework, and the messages between them and the harness: JSON headers and arrays, no pickles."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.execution.processes.answer_cache import AnswerCache
    from harness.execution.processes.asking import Asking, NativeWeightsFailed
    from harness.execution.processes.pool import Workers
    from harness.execution.processes.process import WorkerFailed

__all__ = ["AnswerCache", "Asking", "NativeWeightsFailed", "WorkerFailed", "Workers"]

__getattr__ = by_module(
    __name__,
    {
        "asking": (
            "Asking",
            "NativeWeightsFailed",
        ),
        "answer_cache": ("AnswerCache",),
        "pool": ("Workers",),
        "process": ("WorkerFailed",),
    },
)
