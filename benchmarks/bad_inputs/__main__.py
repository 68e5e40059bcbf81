"""``python -m benchmarks.bad_inputs [COUNT] [SEED]``: how many bad inputs were tried, and which were not taken well."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.bad_inputs import case_files, reports
from benchmarks.bad_inputs.watching import complaint

CASES = Path(__file__).parents[2] / "cases"
KEPT = Path(tempfile.gettempdir()) / "bad_inputs"


def main(count: int, seed: int) -> int:
    """Try so many inputs, half of them case files; print figures; return the exit status."""
    found: Counter[str] = Counter()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "cases"
        case_files.prepare(folder)
        samples = sorted(path for path in CASES.rglob("*.yaml") if path.stat().st_size < 20_000)
        half = 0 if "reports" in sys.argv else count // 2
        for number, path in enumerate(case_files.inputs(folder, samples, random.Random(seed), half)):
            told = case_files.complaint_of(path)
            if told:
                _tell(f"case file {number}", told, found, path)
        for number, (command, report) in enumerate(reports.inputs(Path(place), random.Random(seed), count - half)):
            if told := complaint([*command], reports.LOCATED):
                _tell(f"report {number}, {command[0]}", told, found, report)
    seconds = time.perf_counter() - start
    print(f"{count:,} inputs, seed {seed}, {seconds:.0f} s: {sum(found.values())} findings, {len(found)} kinds")
    for kind, times in found.most_common():
        print(f"{times:6} {kind}")
    return 1 if found else 0


def _tell(what: str, told: str, found: Counter[str], path: Path) -> None:
    lines = told.strip().splitlines()
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
