"""Executors of the cases of a run: each module here is one, by its name."""

from harness.execution.session.executors.base import CaseExecutor, ExecutorFailed
from harness.execution.session.executors.choosing import begin, names

__all__ = ["CaseExecutor", "ExecutorFailed", "begin", "names"]
