"""The notebook has the outputs that its cells make in an environment with the dependencies of the package alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import venv
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from docs.notebook_outputs import NOTEBOOK, executed
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new environment that has what the package requires, and no extra."""
    folder = tmp_path_factory.mktemp("light")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    waiting, seen = ["bptt-harness"], set[str]()
    while waiting:
        found = distribution(waiting.pop())
        if found.name in seen:
            continue
        seen.add(found.name)
        needs = map(Requirement, found.requires or ())
        waiting += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            source = Path(str(found.locate_file(top)))
            if source.suffix != ".pth" and not (packages / top).exists():
                (packages / top).symlink_to(source)
    return folder / "bin" / "python"


def plain(notebook: dict[str, Any]) -> list[list[str]]:
    """Return the words of each output, sorted and without digits: another machine rounds otherwise.

    The order of tensors is that of their errors in units of the rounding noise, which is measured. A line about
    certified digits needs python-flint, which is not a light dependency.
    """
    outputs = [each for cell in notebook["cells"] for each in cell.get("outputs", ())]
    texts = ["".join(text) for each in outputs for text in (each.get("text"), *each.get("data", {}).values()) if text]
    texts = [re.sub(r"certified, whose digits are proven, [^<\n]*", "", text) for text in texts]
    masked = [re.sub(r"-?\d+\.?\d*(e[-+]?\d+)?", "#", text) for text in texts]
    return [sorted(re.findall(r"<[^>]*>|[^<\s,]+", text)) for text in masked]


@pytest.mark.slow
def test_the_notebook_runs_with_the_light_dependencies_alone_and_shows_its_outputs(light, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
    environment |= {"PYTHONPATH": str(ROOT), "HARNESS_CACHE": str(tmp_path / "cache")}
    refused = "import torch"
    assert subprocess.run([light, "-c", refused], env=environment, capture_output=True, check=False).returncode == 1
    command = [light, "-m", "docs.notebook_outputs", str(tmp_path / "out.ipynb")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    kept, found = (json.loads(path.read_text()) for path in (NOTEBOOK, tmp_path / "out.ipynb"))
    assert len(plain(kept)) > 10
    assert plain(found) == plain(kept), "make notebook writes it anew"


def test_a_cell_shows_its_text_and_its_last_value():
    cells = [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["print('one')\n", "x = 2"]},
        {"cell_type": "code", "source": ["x + 1"]},
    ]
    text, printed, value = executed({"cells": cells})["cells"]
    assert text == cells[0]
    assert printed["outputs"] == [{"output_type": "stream", "name": "stdout", "text": ["one\n"]}]
    assert value["execution_count"] == 2
    assert value["outputs"][0]["data"] == {"text/plain": ["3"]}


def test_a_cell_that_fails_is_an_error():
    with pytest.raises(ZeroDivisionError):
        executed({"cells": [{"cell_type": "code", "source": ["1 / 0"]}]})
