"""A report takes the place of another at once; files that are not the report's own stay where they are."""

import os
import sys
import threading

import pytest

from harness.report import placing
from harness.report.placing import take_place


def filled(folder, text):
    folder.mkdir()
    (folder / "file").write_text(text)
    return folder


@pytest.mark.parametrize("can_exchange", [True, False], ids=["exchange", "two renamings"])
def test_one_folder_takes_the_place_of_another(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(placing, "exchanged", lambda *_: False)
    target = tmp_path / "latest"
    take_place(filled(tmp_path / "first", "1"), target, ())
    assert (target / "file").read_text() == "1"
    take_place(filled(tmp_path / "second", "2"), target, {"file"})
    assert (target / "file").read_text() == "2"
    assert not (tmp_path / "first").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two folders at once")
def test_one_of_both_is_always_there(tmp_path):
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
        take_place(filled(tmp_path / f"new{number}", "x"), target, {"file"})
    done.set()
    looking.join()
    assert looked[0] > 300
    assert not missed


def test_a_file_that_came_while_the_report_was_written_stays(tmp_path, monkeypatch):
    target = filled(tmp_path / "latest", "1")
    exchange = placing.exchanged

    def exchanged_late(one, other):
        (other / "notes.txt").write_text("mine")
        return exchange(one, other)

    monkeypatch.setattr(placing, "exchanged", exchanged_late)
    take_place(filled(tmp_path / "new", "2"), target, {"file"})
    assert {each.name: each.read_text() for each in target.iterdir()} == {"file": "2", "notes.txt": "mine"}
