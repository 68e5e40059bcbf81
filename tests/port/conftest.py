"""The processes of the sides, shared by the tests here: starting TensorFlow takes longer than they all do."""

import pytest

from harness.port.proof import Porters


@pytest.fixture(scope="session")
def porters():
    with Porters() as workers:
        yield workers
