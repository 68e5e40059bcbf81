"""Reports with one bad file: a table, the manifest, the environment, kept tensors."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.bad_inputs.damage import damaged
from benchmarks.bad_inputs.trees import altered

CASE = """\
about: A small case, which fails in one of its two dtypes.
layers: 2
sizes: {batch: 2, time: 3, input: 4, hidden: 5}
weights: {uniform: [-0.9, 0.9], seed: 1}
inputs: {normal: 1.0, seed: 2}
training: {steps: 2, optimizer: {sgd: {lr: 0.1}}}
sweep: {tolerance: [{rtol: 0, atol: 0}, {rtol: 1e-3}]}
"""

CELLS = (
    "",
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "9" * 400,
    "match",
    "mismatch",
    "error",
    "unsupported",
    "True",
    "[]",
    "[0, 0]",
    "[-1, 10000000000000]",
    "[[1]]",
    "[" * 2000,
    "x",
    "[bold]x[/nonsense]",
    "../../x",
    "tensors/00001.safetensors",
    "a\x00b",
    "=1+1",
    "'=1+1",
    "'; reboot; '",
    "a\rb",
    "x" * 10_000,
    "\x1b[31m",
    "numpy-split",
    "small",
)
"""Texts that are written into a cell of a table."""

LOCATED = re.compile(
    r"\.csv|\.json|\.safetensors|is no report|is no folder|not whole|no case |no implementation |kept no tensors"
    r"|it cannot be the baseline"
)
"""The part of a message that names the wrong file of a report."""


def made(folder: Path) -> Path:
    """Run a small case that fails in part; return the folder of the report."""
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    case = folder / "cases" / "small.yaml"
    case.write_text(CASE, encoding="utf-8")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "harness", "run", "cases/small.yaml", "--impl", "numpy-concat", "--out", "report"]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, cwd=folder, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": path})
    case.unlink()
    return folder / "report"


def inputs(place: Path, random: random.Random, count: int) -> Iterator[tuple[list[str], Path]]:
    """Yield ``count`` commands on bad reports, each with the bad file, one after the other."""
    good = made(place / "run")
    bad = place / "bad"
    shutil.copytree(good, bad)
    names = sorted(str(path.relative_to(good)) for path in good.rglob("*") if path.suffix in _WAYS)
    for _ in range(count):
        name = random.choice(names)
        path = bad / name
        content = (good / name).read_bytes()
        way = damaged if random.random() < 0.3 else _WAYS[path.suffix]
        path.write_bytes(way(content, random))
        if path.suffix == ".csv" and random.random() < 0.8:
            _count_rows(bad, path)
        yield _command(good, bad, random), path
        path.write_bytes(content)
        (bad / "manifest.json").write_bytes((good / "manifest.json").read_bytes())


def _command(good: Path, bad: Path, random: random.Random) -> list[str]:
    return random.choice(
        [
            ["show", str(bad)],
            ["show", str(bad), "--json"],
            ["show", str(bad), "--case", "small[tolerance={rtol:0,atol:0}]"],
            ["diff", str(good), str(bad)],
            ["diff", str(bad), str(good)],
            ["judge", str(bad)],
            ["judge", str(bad), "--rtol", "1e-9", "--json"],
            ["judge", str(bad), "--baseline", "numpy-concat"],
        ]
    )


def _count_rows(folder: Path, table: Path) -> None:
    """Put the present number of rows of a table into the manifest, so that the table is still read."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    with contextlib.suppress(ValueError):  # pandas' own errors are ValueErrors
        manifest["rows"][table.name] = len(pd.read_csv(table, dtype=str, keep_default_na=False, na_filter=False))
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _table(content: bytes, random: random.Random) -> bytes:
    rows = list(csv.reader(io.StringIO(content.decode())))
    for _ in range(random.randint(1, 3)):
        row = random.randrange(len(rows))
        way = random.randrange(5)
        if way == 0 and len(rows) > 1:
            del rows[row]
        elif way == 1:
            rows.append(list(random.choice(rows)))
        elif rows[row]:
            rows[row][random.randrange(len(rows[row]))] = random.choice(CELLS)
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


def _json(content: bytes, random: random.Random) -> bytes:
    return json.dumps(altered(json.loads(content), random)).encode()


def _tensors(content: bytes, random: random.Random) -> bytes:
    """Alter the header of a file of tensors: their positions, or the harness's metadata."""
    (length,) = struct.unpack("<Q", content[:8])
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    if random.random() < 0.8:
        metadata = header["__metadata__"]
        metadata["content"] = json.dumps(altered(json.loads(metadata["content"]), random))
    else:
        header = altered(header, random)
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded + content[8 + length :]


_WAYS = {".csv": _table, ".json": _json, ".safetensors": _tensors}
"""Changes to a file that keep its format, by suffix."""
