"""The differences between operating systems, and no others: locks, pipes and the ends of processes.

``posix`` is for Linux and macOS; ``plain`` is for every other system, and uses nothing that Windows lacks. Both have
the same names. The rest of the harness imports them from here and names no system.
"""

from typing import TYPE_CHECKING

from harness.system.base import BINARY, KILL, NO_LINKS, NO_WAIT, Printed, Started, is_posix, processors

POSIX = is_posix()

if TYPE_CHECKING or POSIX:
    from harness.system import posix as chosen
else:
    from harness.system import plain as chosen

alone, end_group, end_with, exchanged = chosen.alone, chosen.end_group, chosen.end_with, chosen.exchanged
flush, in_forks, interrupt, lock = chosen.flush, chosen.in_forks, chosen.interrupt, chosen.lock
may_open_files, opened, Pipes, read_at = chosen.may_open_files, chosen.opened, chosen.Pipes, chosen.read_at
start, waiting = chosen.start, chosen.waiting

__all__ = [
    "BINARY",
    "KILL",
    "NO_LINKS",
    "NO_WAIT",
    "POSIX",
    "Pipes",
    "Printed",
    "Started",
    "alone",
    "end_group",
    "end_with",
]
__all__ += ["exchanged", "flush", "in_forks", "interrupt", "lock", "may_open_files", "opened", "processors"]
__all__ += ["read_at", "start", "waiting"]
