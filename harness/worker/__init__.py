"""One process for each framework, and the messages between them and the harness."""

from harness.worker.memory import Memory
from harness.worker.pool import NativeWeightsFailed, Outcome, Workers
from harness.worker.process import WorkerFailed

__all__ = ["Memory", "NativeWeightsFailed", "Outcome", "WorkerFailed", "Workers"]
