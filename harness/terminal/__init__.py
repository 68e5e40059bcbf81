"""The ends of a command line's process: what it prints, how it is interrupted, and its status when it fails.

Nothing here imports more than the standard library's smallest modules: Ctrl-C must be handled within milliseconds.
"""

from harness.terminal.door import Door, opened
from harness.terminal.ending import BAD_INPUT, INTERNAL, INTERRUPTED, TERMINATED, Refused, ended
from harness.terminal.printable import printable
from harness.terminal.strict_json import write_json

__all__ = [
    "BAD_INPUT",
    "INTERNAL",
    "INTERRUPTED",
    "TERMINATED",
    "Door",
    "Refused",
    "ended",
    "opened",
    "printable",
    "write_json",
]
