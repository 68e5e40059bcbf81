"""The work of every framework process: import its modules, announce itself as ready, and answer requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from harness.execution.processes.child import end_with_parent, opened_channel, version_of
from harness.execution.processes.transport import ChannelClosedError, Message
from harness.implementations import implementations

Answer = tuple[dict[str, Any], dict[str, Any]]
"""The header and the arrays."""


def serve(modules: Iterable[str], answered: Callable[[Message], Answer]) -> None:
    """Answer requests until the harness is gone.

    Args:
        modules: what is imported first.
        answered: answers a request; whatever it raises ends the process.
    """
    channel = opened_channel()
    end_with_parent()
    start = time.perf_counter()
    for module in modules:
        import_module(module)
    channel.send({"versions": {each: version_of(each) for each in modules}, "seconds": time.perf_counter() - start})
    while True:
        try:
            request = channel.receive()
        except ChannelClosedError:
            return
        channel.answer(*answered(request))


def modules_of(framework: str) -> tuple[str, ...]:
    """Return the modules of a framework that some implementation runs in."""
    return next(each.framework.modules for each in implementations().values() if each.framework.name == framework)
