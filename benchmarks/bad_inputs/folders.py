"""Folders of case files with other things among them: pipes, devices, links, odd names and suffixes, huge files."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.bad_inputs.extremes import SIZES
from benchmarks.bad_inputs.watching import complaint
from harness.case import load
from harness.casefile import ODD_IN_A_NAME, visible

LOCATED = re.compile(r": .*; ")
"""The parts of a message about a file that is no case: the mistake and the advice."""


def _linked(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _written(path: Path) -> None:
    path.write_text(SIZES)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**36)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


REFUSED: dict[bytes, Callable[[Path], None]] = {
    b"pipe.yaml": os.mkfifo,
    b"pipe.yml": os.mkfifo,
    b"socket.yaml": _socket,
    b"device.yaml": _linked("/dev/zero"),
    b"terminal.yaml": _linked("/dev/tty"),
    b"gone.yaml": _linked("nowhere"),
    b"itself.yaml": _linked("itself.yaml"),
    b"gone": _linked("/nowhere/at/all"),
    b"loop": _linked("."),
    b"up": _linked(".."),
    b"other.yml": _written,
    b"LOUD.YAML": _written,
    b"a\xff.yaml": _written,
    b"a\nb.yaml": _written,
    b"\x1b[2J.yaml": _written,
    b"gigabytes.yaml": _sparse,
    b"text.yaml": lambda path: path.write_text(SIZES + f"about: {'x' * 15_000_000}\n"),
    b"zeros.yaml": lambda path: path.write_bytes(bytes(10_000_000)),
}
"""Paths that must each be a mistake with its name."""

SILENT: dict[bytes, Callable[[Path], None]] = {
    b"README.md": _written,
    b"arrays.npz": os.mkfifo,
    b"device": _linked("/dev/zero"),
    b".#good.yaml": _linked("somebody@somewhere.4711"),
    b"old.yaml~": _written,
    b"gone.npz": _linked("nowhere.npz"),
    b"\xff.txt": _written,
}
"""Files among case files that are not meant as case files."""


def inputs(place: Path, random: random.Random, count: int) -> Iterator[tuple[Path, list[bytes]]]:
    """Yield ``count`` folders of one good case and one to five odd files, with the names that must be refused."""
    folder = place / "odd" / "cases"
    for _ in range(count):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _written(folder / "good.yaml")
        inside = folder / "inside" if random.random() < 0.5 else folder
        inside.mkdir(exist_ok=True)
        chosen = random.sample([*REFUSED, *SILENT], random.randint(1, 5))
        for name in chosen:
            {**REFUSED, **SILENT}[name](inside / os.fsdecode(name))
        yield folder, [name for name in chosen if name in REFUSED]


def complaint_of(folder: Path, refused: list[bytes]) -> str:
    """Return a complaint about the harness's handling of a folder; empty if there is none."""
    if found := complaint(["validate", str(folder)], LOCATED):
        return found
    loaded = load([str(folder)])
    if [case.name for case in loaded.cases] != ["good"]:
        return f"the cases are {[case.name for case in loaded.cases]}"
    said = sorted(Path(mistake.file).name for mistake in loaded.mistakes)
    expected = sorted(visible(os.fsdecode(name), ODD_IN_A_NAME) for name in refused)
    if said != expected:
        return f"{expected} should be refused, but {said} are"
    silent = [mistake for mistake in loaded.mistakes if not str(mistake).isprintable() or len(str(mistake)) > 1000]
    return f"a mistake that cannot be printed: {silent[0]!r}" if silent else ""
