"""An executor by its name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from harness.execution.processes import AnswerCache
from harness.execution.session.executors.base import CaseExecutor, ExecutorFailed

NOT_EXECUTORS = ("base", "choosing")


def names() -> list[str]:
    """The names of all executors."""
    path = import_module(_package()).__path__
    return [each.name for each in iter_modules(path) if each.name not in NOT_EXECUTORS]


def begin(name: str, cache: AnswerCache, jobs: int | None = None, scheduler: str | None = None) -> CaseExecutor:
    """Return an executor, ready to be used.

    Args:
        name: which one.
        cache: the cache of answers.
        jobs: how many processes to work with; None for as many as suit the machine.
        scheduler: the address of what distributes the work, for one that is not on this machine.

    Raises:
        ExecutorFailed: if it cannot be had.
    """
    try:
        module = import_module(f"{_package()}.{name}")
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith(_package()):
            raise
        raise ExecutorFailed(
            f"--executor {name} needs {missing.name}, which is not installed; pip install 'bptt-harness[{name}]'"
        ) from None
    except ImportError as error:
        raise ExecutorFailed(f"--executor {name} cannot be used on this system: {error}") from None
    executor: CaseExecutor = module.begin(cache, jobs, scheduler)
    return executor


def _package() -> str:
    return __name__.rpartition(".")[0]
