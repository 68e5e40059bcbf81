"""The folder of a benchmark's table and plot: each takes the place of its own predecessor and of no other file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from harness.bench import plot, table
from harness.report import NotAReport, manifest
from harness.report.scratch import scratch

LISTED = "bench.json"
"""Lists the files with their digests, as the manifest of a report lists the report's."""

NAMES = (table.FILE, plot.FILE)


class Folder:
    """The folder that a benchmark writes to.

    Args:
        path: the folder; it is made where it is not there.

    Raises:
        NotAReport: if a file is in the way that no benchmark wrote.
        OSError: if nothing can be written there.
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
            name: the file, one of ``NAMES``.
            write: writes it to a path.

        Raises:
            NotAReport: if a file is in the way that no benchmark wrote.
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
        """Return the digest of a file as it is; none where it is not there."""
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
