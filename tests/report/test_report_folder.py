"""A report's folder is written whole or not at all."""

import errno
import hashlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from harness import report
from harness.execution.session import Run
from harness.report import folder, placing, table
from harness.report.tables import cases


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
        "training.csv",
    ]
    assert names(tmp_path / "deep" / "latest") == expected
    assert names(tmp_path / "deep") == ["latest"], "nothing is left beside it"


EMPTY = {"text": "", "count": 1, "number": 1.0, "flag": False, "index": (0,)}


@pytest.fixture
def kept_run(run, tmp_path, monkeypatch):
    """Return a function that makes the report of a run that kept tensors, which no page draws."""
    monkeypatch.setattr(folder, "writers", lambda: [each for each in ORIGINAL if each.FILE == "summary.md"])

    def made(*numbers):
        kept = tmp_path / "kept"
        (kept / "tensors").mkdir(parents=True, exist_ok=True)
        files = [f"tensors/{number:05}.safetensors" for number in numbers]
        for file in files:
            (kept / file).write_text(file)
        row = {column: EMPTY[kind] for column, kind in cases.COLUMNS.items()}
        tables = {
            **run.tables,
            "cases": [{**row, "case": file, "tensors": file, "expect": "match", "verdict": "match"} for file in files],
        }
        return replace(run, tables=tables, folder=kept)

    return made


def written(folder):
    """Return the files below a folder, with what is in them."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_replaces_the_files_of_the_one_before(tmp_path, kept_run):
    report.write(kept_run(0, 1), tmp_path / "latest")
    report.write(kept_run(2), tmp_path / "latest")
    assert [name for name in written(tmp_path / "latest") if "/" in name] == ["tensors/00002.safetensors"]
    assert names(tmp_path) == ["kept", "latest"]


@pytest.mark.parametrize("where", ["the present folder", "another folder", "without exchange"])
def test_files_of_others_in_the_folder_of_a_report_stay(tmp_path, kept_run, run, monkeypatch, where):
    if where == "without exchange":
        monkeypatch.setattr(placing, "exchanged", lambda *_: False)
    latest = tmp_path / "latest"
    report.write(kept_run(0, 1), latest)
    mine = {"thesis.tex": b"mine", "tensors/notes.txt": b"mine, too", "figures/one.svg": b"<svg>"}
    for name, content in mine.items():
        (latest / name).parent.mkdir(exist_ok=True)
        (latest / name).write_bytes(content)
    report.write(run, latest / "nested")
    nested = written(latest / "nested")
    (latest / "empty").mkdir()
    (latest / "link").symlink_to("/somewhere/else")
    if where == "the present folder":
        monkeypatch.chdir(latest)
    report.write(kept_run(2), Path() if where == "the present folder" else latest)
    now = written(latest)
    assert mine.items() <= now.items()
    assert written(latest / "nested") == nested
    assert (latest / "empty").is_dir()
    assert (latest / "link").is_symlink()
    assert sorted(name for name in now if name.endswith("safetensors")) == ["tensors/00002.safetensors"]
    assert [row["case"] for row in table.read(latest / "cases.csv", {"case": "text"})] == ["tensors/00002.safetensors"]
    assert report.read(latest / "nested").environment
    assert names(tmp_path) == ["kept", "latest"]


def test_the_present_folder_takes_a_report_beside_what_is_in_it(tmp_path, run, monkeypatch):
    (tmp_path / "my_rnn.py").write_text("mine")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        report.check(Path())
        report.write(run, Path())
        assert (tmp_path / "my_rnn.py").read_text() == "mine"
        assert report.read(Path()).environment == run.environment
        assert tmp_path.samefile(Path.cwd())
        assert [name for name in names(tmp_path) if name.startswith(".")] == []


@pytest.mark.parametrize("name", ["environment.json", "manifest.json", "comparisons.csv", "index.html", "tensors"])
@pytest.mark.parametrize("present", [True, False], ids=["present folder", "another folder"])
def test_a_file_that_only_has_the_name_of_ours_is_left_alone(tmp_path, run, monkeypatch, name, present):
    folder = tmp_path / "thesis"
    folder.mkdir()
    for each in (name, "thesis.tex"):
        (folder / each).write_text("{}")
    if present:
        monkeypatch.chdir(folder)
    said = f"{name} is in the way" if present else "and no report, and is left alone"
    with pytest.raises(report.NotAReport, match=said):
        report.check(Path() if present else folder)
    assert written(folder) == {name: b"{}", "thesis.tex": b"{}"}


@pytest.mark.parametrize("present", [True, False], ids=["present folder", "another folder"])
def test_a_report_whose_place_was_taken_while_it_was_made_is_near(tmp_path, kept_run, monkeypatch, present):
    latest = tmp_path / "latest"
    report.write(kept_run(0), latest)
    (latest / "summary.md").write_text("my notes")
    if present:
        monkeypatch.chdir(latest)
    other = latest / "report-2" if present else tmp_path / "latest-2"
    for free in (other, other.with_name(other.name.replace("2", "3"))):
        with pytest.raises(report.NotAReport, match=rf"summary\.md is in the way.*; this report is in {free}$"):
            report.write(kept_run(1), Path() if present else latest)
        assert [row["case"] for row in report.read(free)["cases"]] == ["tensors/00001.safetensors"]
    assert (latest / "summary.md").read_text() == "my notes"


def test_no_link_in_a_folder_leads_out_of_it(tmp_path, kept_run, monkeypatch):
    """A report that somebody else made may hold any."""
    latest, precious = tmp_path / "latest", tmp_path / "precious"
    report.write(kept_run(0), latest)
    precious.write_text("mine")
    for name in (".manifest.json.new", "manifest.json.new", ".lock", "new"):
        (latest / name).symlink_to(precious)
    report.write(kept_run(1), latest)
    monkeypatch.chdir(latest)
    report.write(kept_run(0), Path())
    assert precious.read_text() == "mine"


def test_a_report_has_the_rights_of_the_one_before(tmp_path, run):
    report.write(run, tmp_path / "latest")
    (tmp_path / "latest").chmod(0o2700)
    report.write(run, tmp_path / "latest")
    assert stat.S_IMODE((tmp_path / "latest").stat().st_mode) == 0o2700


@pytest.mark.parametrize("folder", [".", "tensors"])
def test_a_folder_that_may_not_be_written_is_known_before_anything_is_computed(tmp_path, kept_run, monkeypatch, folder):
    latest = tmp_path / "latest"
    report.write(kept_run(0), latest)
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != latest / folder)  # nothing is forbidden to root
    with pytest.raises(report.NotAReport, match="latest cannot be written: Permission denied; choose another folder"):
        report.check(latest)
    assert report.read(latest)


@pytest.mark.parametrize("how", ["edited", "link", "folder", "other tensors"])
def test_a_file_of_a_report_that_was_changed_is_left_alone(tmp_path, kept_run, how):
    latest = tmp_path / "latest"
    report.write(kept_run(0), latest)
    changed = latest / ("tensors/00007.safetensors" if how == "other tensors" else "comparisons.csv")
    if how in ("edited", "other tensors"):
        changed.write_text("my corrections")
    else:
        changed.rename(tmp_path / "moved")
        changed.symlink_to(tmp_path / "moved") if how == "link" else changed.mkdir()
    before = written(latest)
    with pytest.raises(report.NotAReport, match=f"{changed.name} is in the way"):
        report.check(latest)
    with pytest.raises(report.NotAReport, match=rf"{changed.name} is in the way.*; this report is in .*/latest-2"):
        report.write(kept_run(0), latest)
    assert written(latest) == before


def test_a_file_of_a_report_that_is_missing_is_no_matter(tmp_path, run):
    report.write(run, tmp_path / "latest")
    (tmp_path / "latest" / "index.html").unlink()
    report.write(run, tmp_path / "latest")
    assert (tmp_path / "latest" / "index.html").is_file()


@pytest.mark.parametrize(
    "listed", ['["thesis.tex"]', '{"thesis.tex": 1}', '{"../thesis.tex": "%s"}', '{"thesis.tex": "%s"}']
)
def test_a_manifest_has_no_say_over_files_that_no_report_has(tmp_path, run, listed):
    latest = tmp_path / "latest"
    report.write(run, latest)
    for each in (latest, tmp_path):
        (each / "thesis.tex").write_text("mine")
    digest = hashlib.sha256(b"mine").hexdigest()
    content = json.loads((latest / "manifest.json").read_text())
    forged = json.loads(listed.replace("%s", digest))
    content["files"] = {**content["files"], **forged} if isinstance(forged, dict) else forged
    (latest / "manifest.json").write_text(json.dumps(content))
    with suppress(report.NotAReport):
        report.write(run, latest)
    assert (latest / "thesis.tex").read_text() == (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_report_of_a_version_that_listed_no_files_is_left_alone(tmp_path, run):
    report.write(run, tmp_path / "latest")
    content = json.loads((tmp_path / "latest" / "manifest.json").read_text())
    del content["files"]
    (tmp_path / "latest" / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(
        report.NotAReport,
        match="a report of an earlier version, which does not list its files",
    ):
        report.check(tmp_path / "latest")
    assert report.read(tmp_path / "latest").environment == run.environment


@pytest.mark.parametrize("after", range(13))
def test_a_replacement_that_is_cut_short_can_be_repeated(tmp_path, kept_run, monkeypatch, after):
    latest = tmp_path / "latest"
    report.write(kept_run(0), latest)
    (latest / "notes.txt").write_text("mine")
    move, moved = placing._move, []

    def moved_or_killed(file, to):
        if len(moved) == after:
            raise KeyboardInterrupt
        moved.append(to)
        move(file, to)

    monkeypatch.setattr(placing, "_move", moved_or_killed)
    with pytest.raises(KeyboardInterrupt):
        report.write(kept_run(1), latest)
    with pytest.raises(report.NotAReport, match="not whole"):
        report.read(latest)
    monkeypatch.setattr(placing, "_move", move)
    report.write(kept_run(1), latest)
    assert [name for name in written(latest) if "/" in name] == ["tensors/00001.safetensors"]
    assert (latest / "notes.txt").read_text() == "mine"
    assert [row["case"] for row in report.read(latest)["cases"]] == ["tensors/00001.safetensors"]


@pytest.mark.parametrize("with_notes", [True, False], ids=["file by file", "exchanged"])
def test_reports_that_are_written_at_once_do_not_mix(tmp_path, kept_run, with_notes):
    latest, several = tmp_path / "latest", [kept_run(number) for number in range(3)]
    report.write(several[0], latest)
    if with_notes:
        (latest / "notes.txt").write_text("mine")

    def write(one):
        for _ in range(10):
            report.write(one, latest)

    with ThreadPoolExecutor() as threads:
        for each in [threads.submit(write, one) for one in several]:
            each.result()
    (case,) = report.read(latest)["cases"]
    assert [name for name in written(latest) if "/" in name] == [case["tensors"]]
    report.write(several[0], latest)


def test_a_folder_that_cannot_be_written_is_known_before_anything_is_computed(tmp_path, monkeypatch):
    def full(path, _):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(report.NotAReport, match=r"deep/latest cannot be written: No space left on device; choose"):
        report.check(tmp_path / "deep" / "latest")
    assert names(tmp_path) == []


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
