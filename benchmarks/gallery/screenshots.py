"""Write docs/pictures, screenshots of a report's page with a wrong gradient: ``make screenshots``."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks.page import browser

FOLDER = Path("docs/pictures")
WIDTH = 1200
CASES = ("cases/basic/tanh.yaml", "cases/basic/widths.yaml", "cases/edge/one_unit.yaml", "cases/edge/vanishing.yaml")
IMPLEMENTATIONS = "my_rnn,torch,torch-cell,keras,tf1,numpy-concat,complex-step"
NAME = "my_rnn"

SOURCE = '''\
import numpy as np

import harness


@harness.implementation("my_rnn", layout="split", supports={"cell": ("rnn",), "activation": ("tanh",), "layers": (1,)})
def my_rnn(problem):
    """One tanh layer by hand, with a mistake on the way back."""
    if problem.structure.output is not None or problem.truncation is not None or problem.lengths is not None:
        raise harness.Unsupported("only a layer by itself")
    W_xh, W_hh, b_h = (problem.weights[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
    x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
    for t in range(x.shape[1]):
        h.append(np.tanh(x[:, t] @ W_xh + h[t] @ W_hh + b_h))
    outputs = np.stack(h[1:], axis=1)
    loss, d_outputs = problem.loss(outputs)
    dW_xh, dW_hh, db_h, dx = (np.zeros_like(each) for each in (W_xh, W_hh, b_h, x))
    dh = np.zeros_like(h[0])
    for t in reversed(range(x.shape[1])):
        da = (dh + d_outputs[:, t]) * (1 - h[t + 1] ** 2)
        dW_xh += x[:, t].T @ da
        dW_hh += h[t].T @ da
        db_h += da.sum(axis=0)
        dx[:, t] = da @ W_xh.T
        dh = da @ W_hh  # W_hh.T belongs here
    found = {"loss": loss, "outputs": outputs, "inputs": dx}
    return {**found, "layer0.W_xh": dW_xh, "layer0.W_hh": dW_hh, "layer0.b_h": db_h, "layer0.h0": dh}
'''


def main() -> None:
    """Run the implementation with the mistake beside others, and take the pictures of the report."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, browser(WIDTH, 1000) as driver:
        page = _reported(Path(scratch))
        driver.get(page.as_uri())
        _at(driver, "#table .cell")
        _save(driver, "report.png", 1000)
        driver.find_element(By.CSS_SELECTOR, "#wrong ~ .causes td:last-child a").click()
        _at(driver, "#detail .heatmap")
        square = driver.find_elements(By.CSS_SELECTOR, ".heatmap td.off")[0]
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", square)
        ActionChains(driver).move_to_element(square).perform()
        _save(driver, "case.png", 1800, of="#detail")


def _reported(scratch: Path) -> Path:
    """Provide the implementation like a package, and run it; return the report's page."""
    (scratch / "my_rnn.py").write_text(SOURCE, encoding="utf-8")
    offered = scratch / "my_rnn-1.0.dist-info"
    offered.mkdir()
    (offered / "METADATA").write_text("Metadata-Version: 2.1\nName: my_rnn\nVersion: 1.0\n", encoding="utf-8")
    (offered / "entry_points.txt").write_text("[harness.implementations]\nmy_rnn = my_rnn:my_rnn\n", encoding="utf-8")
    folder = scratch / "report"
    line = [sys.executable, "-m", "harness", "run", *CASES, "--impl", IMPLEMENTATIONS, "--out", str(folder)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(scratch), os.environ.get("PYTHONPATH")])),
    }
    done = subprocess.run(line, env=environment, check=False, capture_output=True, text=True)
    if not (folder / "index.html").is_file():
        raise SystemExit(done.stderr)
    return folder / "index.html"


def _at(driver: webdriver.Chrome, selector: str) -> None:
    WebDriverWait(driver, 30).until(lambda _: driver.find_elements(By.CSS_SELECTOR, selector))


def _save(driver: webdriver.Chrome, name: str, height: int, of: str | None = None) -> None:
    """Take a picture of the window, or of an element, with a maximum height in pixels."""
    driver.set_window_size(WIDTH, 4000)
    taken = driver.find_element(By.CSS_SELECTOR, of).screenshot_as_png if of else driver.get_screenshot_as_png()
    image = Image.open(io.BytesIO(taken)).convert("RGB")
    image = image.crop((0, 0, image.width, min(height, image.height)))
    # This reduces the bytes to a quarter; this choice of colours keeps rare ones.
    image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(FOLDER / name, optimize=True)
    print(f"{FOLDER / name}: {image.width} × {image.height}, {(FOLDER / name).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
