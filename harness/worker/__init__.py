"""Processes for each framework, and the messages between them and the harness."""

from harness.worker.asking import Asking, NativeWeightsFailed, Outcome
from harness.worker.memory import Memory
from harness.worker.pool import Workers
from harness.worker.process import WorkerFailed

__all__ = ["Asking", "Memory", "NativeWeightsFailed", "Outcome", "WorkerFailed", "Workers"]
