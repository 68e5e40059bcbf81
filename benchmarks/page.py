"""The size of a report's page, and the time to make it, to load it and to filter it, for numbers of cases.

    make page-benchmark

The cases are small: a quarter each an rnn and an lstm, in float32 and float64, with seeds of their own. Times of the
browser are those of Debian's chromium. The page is usable when the overview is drawn, counted from the start of the
navigation. A filter takes from a typed letter until the page is laid out anew. Each time is the median of several.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from selenium import webdriver

from harness import report
from harness.report.pages import index

IMPLEMENTATIONS = "numpy-split,numpy-concat,torch,complex-step"
REPEATED = 5

CASE = """\
about: A small case of many.
sizes: {{batch: 2, time: 6, input: 3, hidden: 5, output: 4}}
readout: linear
weights: {{uniform: [-0.8, 0.8], seed: 1}}
initial_state: {{normal: 0.5, seed: 3}}
targets: {{normal: 1.0, seed: 4}}
sweep:
  cell: [rnn, lstm]
  dtype: [float32, float64]
  inputs: [{inputs}]
"""

USABLE = "return performance.getEntriesByName('overview').map((each) => each.startTime)[0] ?? null"
FILTERED = """
const field = document.getElementById("filter"), times = [];
for (const text of arguments[0]) {
  const start = performance.now();
  field.value = text;
  field.dispatchEvent(new Event("input"));
  document.body.getBoundingClientRect();
  times.push(performance.now() - start);
}
return times;
"""
OPENED = """
const start = performance.now();
document.querySelectorAll(".cell")[arguments[0]].click();
dispatchEvent(new Event("hashchange"));
document.body.getBoundingClientRect();
return performance.now() - start;
"""


@dataclass(frozen=True)
class Measured:
    """The measurements of a page: its size in bytes, times in seconds.

    Attributes:
        cases: Number of cases in the report.
        size: Size of the file.
        read: Time to read the report's folder.
        made: Processor time to make the page of it.
        usable: Time from the start of the navigation until the overview is drawn.
        filtered: Time until the overview is laid out for another filter, the longest of several.
        opened: Time until a case is shown.
    """

    cases: int
    size: int
    read: float
    made: float
    usable: float
    filtered: float
    opened: float

    def __str__(self) -> str:
        """Return a row of the table."""
        times = (self.read, self.made, self.usable, self.filtered, self.opened)
        return f"| {self.cases} | {self.size / 1e6:.2f} | " + " | ".join(f"{each:.3f}" for each in times) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="*", type=Path, help="reports to measure beside those that are made")
    parser.add_argument("--cases", type=int, nargs="*", default=[100, 1000], help="how many cases, by fours")
    chosen = parser.parse_args(arguments)
    print("| cases | MB | read, s | made, s | usable, s | filtered, s | opened, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch, browser() as driver:
        for folder in (*chosen.reports, *(_made(count, Path(scratch) / str(count)) for count in chosen.cases)):
            print(measure(folder, driver))


def _made(count: int, place: Path) -> Path:
    """Run a sweep with a number of cases; return the folder of its report."""
    place.mkdir()
    inputs = ", ".join(f"{{normal: 1.0, seed: {seed}}}" for seed in range(count // 4))
    (place / "many.yaml").write_text(CASE.format(inputs=inputs))
    line = [sys.executable, "-m", "harness", "run", "many.yaml", "--impl", IMPLEMENTATIONS, "--out", "report"]
    subprocess.run(line, cwd=place, check=True, capture_output=True)
    return place / "report"


@contextmanager
def browser(width: int = 1300, height: int = 900) -> Iterator[webdriver.Chrome]:
    """Start a browser without a window."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise SystemExit("needs Debian's packages chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"):
        options.add_argument(argument)
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        started.set_window_size(width, height)
        yield started
    finally:
        started.quit()


def measure(folder: Path, driver: webdriver.Chrome) -> Measured:
    """Measure the page of a report."""
    start = time.perf_counter()
    there = report.read(folder)
    read = time.perf_counter() - start
    start = time.process_time()
    text = index.text(there)
    made = time.process_time() - start
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch) / "index.html"
        page.write_text(text, encoding="utf-8")
        usable = statistics.median(_usable(driver, page) for _ in range(REPEATED))
        filtered = max(statistics.median(each) for each in _filtered(driver))
        opened = statistics.median(driver.execute_script(OPENED, number) for number in range(1, 2 * REPEATED))
    return Measured(len(there["cases"]), len(text.encode()), read, made, usable / 1e3, filtered / 1e3, opened / 1e3)


def _usable(driver: webdriver.Chrome, page: Path) -> float:
    """Load the page; return the time until the overview was drawn, in milliseconds."""
    driver.get("about:blank")
    driver.get(page.as_uri())
    for _ in range(600):
        drawn: float | None = driver.execute_script(USABLE)
        if drawn is not None:
            return drawn
        time.sleep(0.05)
    raise SystemExit(f"{page}: no overview after 30 s")


def _filtered(driver: webdriver.Chrome) -> list[list[float]]:
    """Filter for several texts and reset the filter; return the milliseconds of each, several times."""
    texts = ["f", "float32", "lstm", "seed", "", "nothing has this", ""]
    rounds = [driver.execute_script(FILTERED, texts) for _ in range(REPEATED)]
    return [list(times) for times in zip(*rounds, strict=True)]


if __name__ == "__main__":
    main()
