"""The command line's process: its output, its interruption by Ctrl-C, and its exit status.

These modules import only small parts of the standard library, so that Ctrl-C is handled within milliseconds.
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
