"""A report takes its place at once, and what killed processes leave beside it goes with the next."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.report import scratch as scratches
from harness.report.scratch import remove_abandoned, scratch, take_place

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


def test_folders_of_the_user_with_a_like_name_stay(tmp_path):
    filled(tmp_path / ".latest.mine", "precious")
    with scratch(tmp_path / "latest"):
        pass
    assert (tmp_path / ".latest.mine" / "file").read_text() == "precious"


@pytest.mark.parametrize("can_exchange", [True, False], ids=["exchange", "two renamings"])
def test_one_folder_takes_the_place_of_another(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(scratches, "_exchanged", lambda *_: False)
    target = tmp_path / "latest"
    take_place(filled(tmp_path / "first", "1"), target)
    assert (target / "file").read_text() == "1"
    take_place(filled(tmp_path / "second", "2"), target)
    assert (target / "file").read_text() == "2"
    assert not (tmp_path / "first").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders at once")
def test_somebody_is_always_there(tmp_path):
    target, missed, looked, done = filled(tmp_path / "latest", "x"), [], [0], threading.Event()

    def look():
        while not done.is_set():
            looked[0] += 1
            try:
                os.stat(target / "file")  # noqa: PTH116 - one system call
            except FileNotFoundError:
                missed.append(looked[0])

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(300):
        take_place(filled(tmp_path / f"new{number}", "x"), target)
    done.set()
    looking.join()
    assert looked[0] > 300
    assert not missed
