"""``python -m benchmarks.bad_inputs [COUNT] [SEED]``: try bad inputs, and print those that are handled badly."""

from __future__ import annotations

import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bad_inputs import case_files, folders, reports, texts
from benchmarks.bad_inputs.watching import complaint
from harness.case import load

CASES = Path(__file__).parents[2] / "cases"
KEPT = Path(tempfile.gettempdir()) / "bad_inputs"


def main(count: int, seed: int) -> int:
    """Try a number of inputs of all kinds; print figures; return the exit status."""
    found: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    start = time.perf_counter()
    few = count // 10
    shares = {"case files": count // 2 - few, "reports": count - count // 2 - few, "folders": few, "texts": few}
    if "reports" in sys.argv:
        shares = {"reports": count}
    with tempfile.TemporaryDirectory() as place:
        for kind, number in shares.items():
            for what, path, complaint in KINDS[kind](Path(place), random.Random(seed), number):
                tried[kind] += 1
                survived[kind] += not complaint
                if complaint:
                    _print_complaint(f"{kind} {tried[kind]}{what}", complaint, found, path)
    seconds = time.perf_counter() - start
    print(f"{count:,} inputs, seed {seed}, {seconds:.0f} s: {sum(found.values())} findings, {len(found)} kinds")
    for kind in tried:
        print(f"{kind}: {tried[kind]:,} tried, {survived[kind]:,} survived")
    for kind, times in found.most_common():
        print(f"{times:6} {kind}")
    return 1 if found else 0


Tried = Iterator[tuple[str, Path, str]]
"""The action on each input, its file, and the complaint about the harness."""


def _case_files(place: Path, draw: random.Random, count: int) -> Tried:
    folder = place / "cases"
    case_files.prepare(folder)
    samples = sorted(path for path in CASES.rglob("*.yaml") if path.stat().st_size < 20_000)
    for path in case_files.inputs(folder, samples, draw, count):
        yield "", path, case_files.complaint_of(path)


def _reports(place: Path, draw: random.Random, count: int) -> Tried:
    for command, path in reports.inputs(place, draw, count):
        yield f", {command[0]}", path, complaint([*command], reports.LOCATED)


def _folders(place: Path, draw: random.Random, count: int) -> Tried:
    for folder, refused in folders.inputs(place, draw, count):
        yield "", folder, folders.complaint_of(folder, refused)


def _texts(place: Path, draw: random.Random, count: int) -> Tried:
    (place / "texts.yaml").write_text(reports.CASE)
    case = load([str(place / "texts.yaml")]).cases[0]
    for _ in range(count):
        try:
            complaint = texts.complaint_of(texts.run_saying(case, draw), place / "texts")
        except Exception:
            complaint = f"traceback: {traceback.format_exc()}"
        yield "", place / "texts", complaint


KINDS = {"case files": _case_files, "reports": _reports, "folders": _folders, "texts": _texts}


def _print_complaint(what: str, complaint: str, found: Counter[str], path: Path) -> None:
    lines = complaint.strip().splitlines()
    places = [line.strip() for line in lines if line.strip().startswith("File ")]
    kind = f"{lines[-1][:60]} @ {places[-1][:150]}" if places else lines[-1][:160]
    if not found[kind]:
        KEPT.mkdir(exist_ok=True)
        if path.is_file():
            (KEPT / f"{len(found)}{path.suffix}").write_bytes(path.read_bytes())
        print(f"{what}: {kind}", flush=True)
    found[kind] += 1


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:] if each.isdigit()]
    sys.exit(main(*(numbers + [10_000, 0][len(numbers) :])))
