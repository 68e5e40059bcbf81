"""Bad case files, with the arrays that they name."""

from __future__ import annotations

import dataclasses
import io
import os
import random
import re
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.bad_inputs.damage import damaged
from benchmarks.bad_inputs.extremes import EXTREMES
from benchmarks.bad_inputs.trees import altered
from benchmarks.bad_inputs.watching import HANGS, Stalled, complaint, limited
from harness.case import load
from harness.case.checks import memory_needed
from harness.case.fields import Fields
from harness.casefile import parse
from harness.problem import build
from harness.problem.reference import solve

KEYS = (
    *(field.name for field in dataclasses.fields(Fields)),
    *(
        "sweep",
        "default",
        "layer0.W_xh",
        "sizes.time",
        "kind",
        "steps",
        "reduction",
        "seed",
        "from",
        "checkpoint",
        "layer",
        "file",
        "key",
        "at",
    ),
    *("tensor", "values"),
)
"""Names for keys, right and wrong."""


class _Pickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.abort, ())


def prepare(folder: Path) -> None:
    """Put arrays of every kind, good and bad, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "good.npz", a=np.ones((2, 3, 4)))
    np.savez(folder.parent / "outside.npz", a=np.ones((2, 3, 4)))
    np.savez(folder / "pickled.npz", a=np.full((2, 3, 4), _Pickled(), object))
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", b"\0" * 2**28)
    with zipfile.ZipFile(folder / "huge.npz", "w") as archive:
        archive.writestr("a.npy", header_of((10**13,)))
    os.mkfifo(folder / "pipe.npz")
    (folder / "link.npz").symlink_to(folder.parent / "outside.npz")


def header_of(shape: tuple[int, ...]) -> bytes:
    """Return an .npy file with the header of a shape, and without data."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue()


def inputs(
    folder: Path, samples: list[Path], random: random.Random, count: int, *, extremes: bool = True
) -> Iterator[Path]:
    """Yield ``count`` bad case files, one after the other at the same place; the extremes come first."""
    contents = [path.read_bytes() for path in samples]
    first = list(EXTREMES.values()) if extremes else []
    trees = [parse(content, "sample").data for content in contents]
    path = folder / "input.yaml"
    for number in range(count):
        chosen = random.randrange(len(contents))
        way = number % 4
        if number < len(first):
            content = first[number].encode(errors="surrogatepass")
        elif way == 0:
            content = damaged(contents[chosen], random)
        elif way == 3:
            content = damaged(_dumped(altered(trees[chosen], random, KEYS), random), random)
        else:
            content = _dumped(altered(trees[chosen], random, KEYS), random)
        path.write_bytes(content)
        yield path


def _dumped(tree: Any, random: random.Random) -> bytes:
    flow = random.choice([True, False, None])
    # surrogates cannot be written; they are tried as bytes
    return yaml.dump(tree, default_flow_style=flow, allow_unicode=True, sort_keys=False, Dumper=_Dumper).encode(
        errors="surrogatepass"
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


LOCATED = re.compile(r"input\.yaml(:\d+:\d+)?: |valid case")
"""The beginning of a message about a case file: the file, with line and column unless it is the file itself."""

MOST_BYTES = 10 * 2**20
"""Maximum bytes of a valid case that is run."""


def complaint_of(path: Path) -> str:
    """Return a complaint about the harness's handling of a case file; empty if there is none.

    The file is validated. A case that is valid and small, without weights from a framework, must also have an answer.
    """
    if found := complaint(["validate", str(path)], LOCATED):
        return found
    try:
        with limited(HANGS), np.errstate(all="ignore"):
            for case in load([str(path)]).cases[:3]:
                native = isinstance(case.weights, dict) and "from" in case.weights
                if not native and memory_needed(case) < MOST_BYTES:
                    solve(build(case, _none))
    except Stalled:
        return "a valid case takes too long"
    except Exception:
        return f"a valid case has no answer: {traceback.format_exc()}"
    return ""


def _none(*_: object) -> dict[str, np.ndarray]:
    raise AssertionError("asked for the weights of a framework")
