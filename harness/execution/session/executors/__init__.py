"""Where the cases of a run are worked on: each module here is a way, and has its name."""

from harness.execution.session.executors.base import CaseExecutor, ExecutorFailed
from harness.execution.session.executors.choosing import begin, names

__all__ = ["CaseExecutor", "ExecutorFailed", "begin", "names"]
