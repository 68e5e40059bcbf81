"""Bad files are refused with their place, at once; none is answered with a traceback. A sample of ten thousand."""

import random

import pytest

from benchmarks.bad_inputs import case_files, folders, reports, texts
from benchmarks.bad_inputs.extremes import EXTREMES
from benchmarks.bad_inputs.watching import complaint
from harness.case import load
from harness.implementations import implementations
from tests.conftest import ROOT

VALID = {"seed_of_many_digits", "byte_order_mark_twice"}
"""Extremes that are cases like others."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("bad") / "cases"
    case_files.prepare(place)
    return place


@pytest.mark.parametrize("name", EXTREMES)
def test_what_is_too_much_is_refused_at_once(folder, name):
    path = folder / "input.yaml"
    path.write_bytes(EXTREMES[name].encode(errors="surrogatepass"))
    assert not case_files.complaint_of(path)
    loaded = load([str(path)], implementations())
    assert bool(loaded.cases) == (name in VALID), loaded.mistakes[:3]
    assert all(len(str(mistake)) < 1000 for mistake in loaded.mistakes)


def test_damaged_and_altered_case_files(folder):
    samples = sorted((ROOT / "cases" / "basic").glob("*.yaml"))
    for path in case_files.inputs(folder, samples, random.Random(3), 60, extremes=False):
        assert not case_files.complaint_of(path), path.read_bytes()


def test_damaged_and_altered_reports(tmp_path):
    for command, path in reports.inputs(tmp_path, random.Random(3), 40):
        assert not complaint(command, reports.LOCATED), path.read_bytes()[:2000]


def test_folders_with_what_is_no_case_file(tmp_path):
    for cases, refused in folders.inputs(tmp_path, random.Random(3), 30):
        assert not folders.complaint_of(cases, refused), refused


def test_texts_that_are_more_than_texts(tmp_path):
    (tmp_path / "case.yaml").write_text(reports.CASE)
    case, draw = load([str(tmp_path / "case.yaml")]).cases[0], random.Random(3)
    for _ in range(15):
        run = texts.run_saying(case, draw)
        assert not texts.complaint_of(run, tmp_path / "report"), run


def test_a_stall_a_crash_and_a_mistake_without_a_place_are_noticed(monkeypatch, folder):
    """The watcher itself can see what it is there for."""
    from harness.cli import validate

    def raising(*_):
        raise ZeroDivisionError

    path = folder / "input.yaml"
    path.write_text("sizes: {batch: 1, time: 1, input: 1, hidden: 1}\n")
    monkeypatch.setattr(validate, "_blind", raising)
    assert "ZeroDivisionError" in case_files.complaint_of(path)
    monkeypatch.setattr(validate, "_blind", lambda _: [0][bytearray(2**30)[0] + 1 :])
    assert "MB" in case_files.complaint_of(path)
    assert "without a place" in complaint(["show", "nowhere"], reports.LOCATED)
    monkeypatch.setattr("benchmarks.bad_inputs.watching.HANGS", 0.2)
    monkeypatch.setattr(validate, "_blind", lambda _: __import__("time").sleep(5))
    assert "took more than" in case_files.complaint_of(path)
