"""The frameworks' processes, shared by the tests here: TensorFlow alone takes longer to start than they all take."""

import pytest

from harness.execution.processes import Workers


@pytest.fixture(scope="package")
def workers():
    with Workers() as started:
        yield started
