"""The folder of a benchmark's table and plot: each file replaces its own predecessor and no other file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from harness.bench import plot, table
from harness.report import NotAReport, manifest
from harness.report.scratch import scratch

LISTED = "bench.json"
"""The list of the files with their digests, like the manifest of a report."""

NAMES = (table.FILE, plot.FILE)


class Folder:
    """The folder that a benchmark writes to.

    Args:
        path: The folder; it is made if it does not exist.

    Raises:
        NotAReport: If a file that no benchmark wrote is in the way.
        OSError: If the folder cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            self._digests(name)
        with scratch(path) as folder:
            manifest.put_list(path / LISTED, self._listed(), folder)

    def put(self, name: str, write: Callable[[Path], object]) -> None:
        """Write a file and put it in place.

        Args:
            name: The file, one of ``NAMES``.
            write: A function that writes it to a path.

        Raises:
            NotAReport: If a file that no benchmark wrote is in the way.
        """
        with scratch(self.path) as folder:
            write(folder / name)
            listed = self._listed()
            listed[name] = [*self._digests(name), manifest.digest_of(folder / name)]
            manifest.put_list(self.path / LISTED, listed, folder)
            (folder / name).replace(self.path / name)

    def _listed(self) -> dict[str, list[str]]:
        return {name: digests for name in NAMES if (digests := self._digests(name))}

    def _digests(self, name: str) -> list[str]:
        """Return the digest of a file in a list, which is empty if the file does not exist."""
        path = self.path / name
        own = manifest.own_files(self.path, re.compile("|".join(map(re.escape, NAMES))), LISTED) or ()
        if name in own:
            return [manifest.digest_of(path)]
        there = path if os.path.lexists(path) else self.path / LISTED
        if os.path.lexists(path) or (os.path.lexists(there) and LISTED not in own):
            raise NotAReport(
                f"{there} is in the way: no benchmark wrote it, or it was changed since, and it is left alone; "
                "move it, or choose another folder with --out"
            )
        return []
