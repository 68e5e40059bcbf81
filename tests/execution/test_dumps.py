"""The place where a process was ended is a line of the user's own file."""

import sysconfig

import pytest

from harness.execution.processes import process
from harness.execution.processes.dumps import innermost

NUMPY = f"{sysconfig.get_path('purelib')}/numpy/_core/_methods.py"


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ([NUMPY, "/home/me/my_rnn.py"], "my_rnn.py:7 in f"),
        (["/home/me/my_rnn.py"], "my_rnn.py:7 in f"),
        ([NUMPY], "_methods.py:7 in f"),
    ],
    ids=["in NumPy, called by the user", "in the user's file", "in NumPy alone"],
)
def test_the_innermost_place_is_the_users(files, place):
    frames = [f'  File "{file}", line 7 in f' for file in [*files, process.__file__]]
    assert innermost("\n".join(["Timeout (0:00:05)!", "Thread 0x01 (most recent call first):", *frames])) == place
