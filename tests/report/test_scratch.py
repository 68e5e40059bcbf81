"""A report is made near its folder; the folders that killed processes leave there go with the next."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.report.scratch import remove_abandoned, scratch

HOLDING = """\
import sys, time
from pathlib import Path
from harness.report.scratch import scratch
with scratch(Path(sys.argv[1])) as folder:
    (folder / "half.csv").write_text("a,b")
    print(folder, flush=True)
    time.sleep(600)
"""


def filled(folder, text):
    folder.mkdir()
    (folder / "file").write_text(text)
    return folder


def test_it_is_gone_afterwards_and_so_are_the_folders_made_for_it(tmp_path):
    target = tmp_path / "a" / "b" / "latest"
    with scratch(target) as folder:
        assert folder.parent == target.parent
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(tmp_path):
    target = tmp_path / "latest"
    holding = [
        subprocess.Popen([sys.executable, "-c", HOLDING, str(target)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    killed, used = (Path(each.stdout.readline().strip()) for each in holding)
    holding[0].kill()
    holding[0].wait()
    assert (killed / "half.csv").exists()
    with scratch(target):
        assert not killed.exists()
        assert (used / "half.csv").exists()
    for each in holding:
        each.kill()
        each.wait()
        each.stdout.close()
    remove_abandoned(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".latest.mine", ".latest.harness-mine"])
@pytest.mark.parametrize("lock", [None, "", "my own lock"], ids=["no lock", "empty lock", "a lock"])
def test_folders_of_the_user_with_a_like_name_stay(tmp_path, name, lock):
    filled(tmp_path / name, "precious")
    if lock is not None:
        (tmp_path / name / ".lock").write_text(lock)
    with scratch(tmp_path / "latest"):
        pass
    assert (tmp_path / name / "file").read_text() == "precious"


@pytest.mark.parametrize("name", ["r[1]", "r*", "?", "r" * 250, "\udce9t\udce9"], ids=ascii)
def test_any_name_of_a_folder_is_taken_as_it_is(tmp_path, name):
    filled(tmp_path / ".r1.harness-mine", "precious")
    target = tmp_path / name
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(target)], stdout=subprocess.PIPE)
    process.stdout.readline()
    process.kill()
    process.communicate()
    with scratch(target) as folder:
        assert [each for each in tmp_path.iterdir() if each.name != ".r1.harness-mine"] == [folder]
    assert [each.name for each in tmp_path.iterdir()] == [".r1.harness-mine"]


def test_an_empty_one_that_no_process_came_to_lock_goes_when_it_is_old(tmp_path):
    left, young = tmp_path / ".latest.harness-left", tmp_path / ".latest.harness-young"
    for each in (left, young):
        each.mkdir()
    os.utime(left, (0, 0))
    with scratch(tmp_path / "latest"):
        assert not left.exists()
        assert young.exists()
