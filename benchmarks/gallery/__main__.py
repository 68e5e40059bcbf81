"""Write the fault gallery: ``make gallery``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gallery import trainings
from benchmarks.gallery.pages import pages
from benchmarks.gallery.picture import picture
from benchmarks.gallery.shown import gallery

FOLDER = Path("docs/faults")


def main(arguments: Sequence[str] | None = None) -> None:
    """Commit every fault, write its page and its picture, and remove pictures and pages of removed faults."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    chosen = parser.parse_args(arguments)
    start = time.perf_counter()
    shown, of_training = gallery(), trainings.trainings()
    pictures = {f"pictures/{each.name}.svg": picture(each) for each in shown}
    pictures |= {f"pictures/training-{each.name}.svg": trainings.picture(each) for each in of_training if each.seen}
    written = {**pages(shown, of_training), **pictures}
    for old in (*chosen.out.glob("*.md"), *chosen.out.glob("pictures/*.svg")):
        if str(old.relative_to(chosen.out)) not in written:
            old.unlink()
    (chosen.out / "pictures").mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        (chosen.out / name).write_text(text, encoding="utf-8")
    size = sum(len(text.encode()) for text in written.values())
    seconds = time.perf_counter() - start
    print(f"{len(shown) + len(of_training)} faults, {size / 1e6:.2f} MB, {seconds:.0f} s; {chosen.out}")


if __name__ == "__main__":
    main()
