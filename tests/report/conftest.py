"""A report on disk of right, wrong and failing implementations, made once."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import FAULTY, ROOT, SMALL_CASE

IMPLEMENTATIONS = "numpy-concat,sign,not_a_number,missing,wrong_shape,representing_nothing,raising,partial"


@pytest.fixture(scope="session")
def reported(tmp_path_factory):
    """Run implementations on a case; return the folder of the report, which is not to be changed."""

    def run(case, implementations, status):
        place = tmp_path_factory.mktemp("reported")
        (place / "cases").mkdir()
        (place / "cases" / "small.yaml").write_text(case)
        done = subprocess.run(
            [sys.executable, "-m", "harness", "run", "--impl", implementations],
            cwd=place,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FAULTY), str(ROOT)])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return place / "reports" / "latest"

    return run


@pytest.fixture(scope="session")
def written(reported):
    """The folder of a report of two cases; not to be changed."""
    return reported(SMALL_CASE + "sweep: {dtype: [float32, float64]}\n", IMPLEMENTATIONS, 3)


@pytest.fixture
def copied(written, tmp_path):
    """A copy of that folder, to be changed."""
    return shutil.copytree(written, tmp_path / "copied")
