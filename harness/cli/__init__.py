"""The command line. Each command is a module here, named as the command; nothing heavy is imported before it runs.

This module imports next to nothing, so that its ``main`` handles a Ctrl-C that comes while the rest is imported.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

BEGAN = time.perf_counter()
"""The start of the command line, on the clock of ``time.perf_counter``."""


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    Args:
        args: the arguments; by default those of the process, which then ends with the command.
    """
    try:
        if args is None and sys.argv[1:2] == ["check"] and _is_of_user():
            from harness.execution.processes.user_file import main as serve

            serve()
            raise SystemExit(0)
        from harness.terminal import ended

        status = ended(lambda: _status(sys.argv[1:] if args is None else args), for_good=args is None)
    except KeyboardInterrupt:  # in the milliseconds before there is a handler for it
        os.write(2, b"interrupted\n")
        status = 130
    raise SystemExit(status)


def _is_of_user() -> bool:
    """Start the process of the user's file, which takes longest, as a copy of this one; return True in the copy."""
    import gc

    from harness.execution.processes import launching

    gc.disable()  # nothing of what is imported is garbage; the command enables it
    if not launching.forked():
        return False
    gc.enable()
    return True


def _status(args: list[str]) -> int:
    if args[:1] != ["check"]:
        from harness.cli.group import status

        return status(args)
    import gc

    from harness.execution.processes import launching

    gc.disable()
    launching.listen()
    launching.ahead()  # where it was not forked
    try:
        from harness.cli.group import status

        return status(args)
    finally:
        gc.enable()
        launching.let_go()
