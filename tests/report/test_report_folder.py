"""A report's folder is written whole or not at all."""

import pytest

from harness import report
from harness.report import folder
from harness.session import Run


@pytest.fixture
def run():
    """The report of a run of nothing."""
    return report.of_run(Run("numpy-split", ("numpy-split",)))


def names(path):
    return sorted(each.name for each in path.iterdir())


def test_every_file_is_there(tmp_path, run):
    report.write(run, tmp_path / "deep" / "latest")
    expected = [
        "cases.csv",
        "comparisons.csv",
        "diagnoses.csv",
        "elements.csv",
        "environment.json",
        "floors.csv",
        "index.html",
        "manifest.json",
        "remarks.csv",
        "runs.csv",
        "summary.md",
        "tolerances.csv",
    ]
    assert names(tmp_path / "deep" / "latest") == expected
    assert names(tmp_path / "deep") == ["latest"], "nothing is left beside it"


def test_an_older_report_is_replaced_whole(tmp_path, run):
    report.write(run, tmp_path / "latest")
    (tmp_path / "latest" / "left-over.csv").touch()
    report.write(run, tmp_path / "latest")
    assert "left-over.csv" not in names(tmp_path / "latest")


def test_an_empty_folder_is_used(tmp_path, run):
    (tmp_path / "latest").mkdir()
    report.write(run, tmp_path / "latest")
    assert "comparisons.csv" in names(tmp_path / "latest")


def test_a_failure_leaves_the_older_report_as_it_was(tmp_path, run, monkeypatch):
    report.write(run, tmp_path / "latest")
    before = {path.name: path.read_bytes() for path in (tmp_path / "latest").iterdir()}

    class FullDisk:
        FILE = "zzz.md"

        @staticmethod
        def text(_report):
            raise OSError("No space left on device")

    monkeypatch.setattr(folder, "writers", lambda: [*ORIGINAL, FullDisk])
    with pytest.raises(OSError, match="No space left"):
        report.write(run, tmp_path / "latest")
    assert {path.name: path.read_bytes() for path in (tmp_path / "latest").iterdir()} == before
    assert names(tmp_path) == ["latest"]


ORIGINAL = folder.writers()


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_no_report_is_refused_and_kept(tmp_path, run, kind):
    target = tmp_path / "latest"
    other = tmp_path / "other"
    if kind == "folder":
        target.mkdir()
        (target / "notes.txt").write_text("mine")
    elif kind == "file":
        target.write_text("mine")
    else:
        other.mkdir()
        target.symlink_to(other)
    with pytest.raises(report.NotAReport, match="latest"):
        report.write(run, target)
    assert target.exists()
    if kind == "folder":
        assert names(target) == ["notes.txt"]
