"""A report on disk of right, wrong and failing implementations, made once."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import FAULTY, ROOT, SMALL_CASE

IMPLEMENTATIONS = "numpy-concat,sign,not_a_number,missing,wrong_shape,representing_nothing,raising,partial"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of a report; not to be changed."""
    place = tmp_path_factory.mktemp("written")
    (place / "cases").mkdir()
    (place / "cases" / "small.yaml").write_text(SMALL_CASE + "sweep: {dtype: [float32, float64]}\n")
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "--impl", IMPLEMENTATIONS],
        cwd=place,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTY), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    return place / "reports" / "latest"


@pytest.fixture
def copied(written, tmp_path):
    """A copy of that folder, to be changed."""
    return shutil.copytree(written, tmp_path / "copied")
