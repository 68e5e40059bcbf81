"""A report's folder: written whole or not at all, and read back only if it is whole."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from harness.casefile import listed
from harness.comparison import SEVERITY
from harness.report import pages, table
from harness.report.history import with_history
from harness.report.kept import FOLDER as KEPT
from harness.report.kept import STATUSES
from harness.report.report import STREAMED, Report, modules
from harness.report.scratch import scratch, take_place
from harness.report.table import Row, Unreadable

ENVIRONMENT = "environment.json"
"""The file by which a folder is recognised as a report."""

MANIFEST = "manifest.json"
"""The file that says how many rows each table has, by which a report that is not whole is recognised."""

ENVIRONMENT_FIELDS = {
    "baseline": str,
    "frameworks": dict,
    "processes": dict,
    "seconds": float,
    "seconds_to_import": dict,
}
"""What is read of the environment."""

FORMAT = 2
"""Of the tables. A report of another format is not read."""


class NotAReport(ValueError):
    """A folder is no report, or none that can be read; the text says why and what to do."""


def writers() -> list[ModuleType]:
    """Return the modules that write a report's pages."""
    return [import_module(f"{pages.__name__}.{module.name}") for module in iter_modules(pages.__path__)]


def check(target: Path) -> None:
    """Make sure that a report can be written to ``target``.

    Raises:
        NotAReport: if it exists and is neither a report nor empty.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise NotAReport(f"{target} is not a folder; choose another with --out")
    if target.is_dir() and any(target.iterdir()) and not (target / ENVIRONMENT).is_file():
        raise NotAReport(f"{target} holds something that is not a report, and is left alone; choose another with --out")


def write(report: Report, target: Path) -> None:
    """Write a report to ``target``, in place of one that is there.

    Everything is written beside the target first, and takes its place when it is complete.

    Raises:
        NotAReport: if something else is there.
        OSError: if it cannot be written; what was there is still there.
    """
    check(target)
    if report.dated:
        report = with_history(report, target)
    with scratch(target) as folder:
        new = folder / "new"
        new.mkdir()
        _fill(new, report)
        for path in [*new.rglob("*"), new]:
            _flush(path)
        take_place(new, target)
        _flush(target.parent)


def _fill(folder: Path, report: Report) -> None:
    rows = {}
    for name, maker in modules().items():
        of_table = report.elements() if name == STREAMED else report[name]
        rows[maker.FILE] = table.write(folder / maker.FILE, maker.COLUMNS, of_table)
    if report.kept:
        (folder / KEPT).mkdir()
    for kept in report.kept.values():
        _link(kept, folder / KEPT / kept.name)
    for page in writers():
        (folder / page.FILE).write_text(page.text(report), encoding="utf-8", errors=table.ODD)
    _write_json(folder / ENVIRONMENT, report.environment)
    _write_json(folder / MANIFEST, {"format": FORMAT, "rows": rows})


def _link(there: Path, here: Path) -> None:
    """Have a file at a second place: it is never written to again, so that its content need not be copied."""
    try:
        here.hardlink_to(there)
    except OSError:  # another file system, or one that has no links
        shutil.copyfile(there, here)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path) -> Report:
    """Read a report from its folder.

    Raises:
        NotAReport: if it is none, is not whole, or is of another version.
    """
    if not folder.is_dir():
        there = "is no folder" if folder.exists() else "does not exist"
        raise NotAReport(f"{folder} {there}; `harness run --out {folder}` writes a report there")
    if not (folder / ENVIRONMENT).is_file():
        raise NotAReport(f"{folder} is no report: it has no {ENVIRONMENT}; a report is a folder that harness run wrote")
    environment = _json(folder, ENVIRONMENT, {})
    if not (folder / MANIFEST).is_file():
        whose = f"by harness {environment.get('harness', 'of an unknown version')}"
        raise NotAReport(f"{folder} is not whole, or was written {whose}, too old to be read: it has no {MANIFEST}")
    manifest = _json(folder, MANIFEST, {})
    if manifest.get("format") != FORMAT:
        raise NotAReport(
            f"{folder}: {MANIFEST} has the format {manifest.get('format')!r} of harness {environment.get('harness')}, "
            f"but this one reads {FORMAT}; run it again, or install that version"
        )
    _json(folder, ENVIRONMENT, ENVIRONMENT_FIELDS)
    _check_environment(folder, environment)
    _json(folder, MANIFEST, {"rows": dict})
    tables = {}
    for name, maker in modules().items():
        if name == STREAMED:
            _is_there(folder, maker.FILE)
            continue
        tables[name] = _table(folder, maker)
        if len(tables[name]) != (whole := manifest["rows"].get(maker.FILE)):
            raise NotAReport(
                f"{folder} is not whole: {maker.FILE} has {len(tables[name])} rows, but should have {whole}"
            )
    _check_rows(folder, tables)
    for row in tables["cases"]:
        if row["tensors"]:
            if not re.fullmatch(rf"{KEPT}/\d+\.safetensors", row["tensors"]):
                raise NotAReport(f"{folder} cannot be read: cases.csv names {row['tensors']!r}, which is no file of it")
            _is_there(folder, row["tensors"])
    return Report(environment, tables, lambda: _elements(folder), folder)


def _check_rows(folder: Path, tables: Mapping[str, list[Row]]) -> None:
    """Make sure that verdicts and statuses are such, and that every row is of a case that there is."""
    names = {row["case"] for row in tables["cases"]}
    known = {"verdict": ("", *SEVERITY), "status": STATUSES, "expect": ("match", "mismatch"), "case": names}
    for table_name, rows in tables.items():
        columns = [column for column in known if rows and column in rows[0]]
        for number, row in enumerate(rows):
            if empty := [column for column in ("shape", "elements") if column in row and row[column] is None]:
                place = f"{modules()[table_name].FILE}, row {number + 1}, column {empty[0]}"
                raise NotAReport(f"{folder} cannot be read: {place}: nothing is there, but should be")
            if wrong := [column for column in columns if row[column] not in known[column]]:
                file, value = modules()[table_name].FILE, str(row[wrong[0]])[:100]
                there = (
                    "a case of cases.csv" if wrong[0] == "case" else listed([each for each in known[wrong[0]] if each])
                )
                place = f"{file}, row {number + 1}, column {wrong[0]}"
                raise NotAReport(f"{folder} cannot be read: {place}: {value!r}, but should be {there}")


def _check_environment(folder: Path, environment: Mapping[str, Any]) -> None:
    """Make sure that what is read of the environment is of its kind further down, too."""
    versions = [
        version
        for modules in environment["frameworks"].values()
        if isinstance(modules, dict)
        for version in modules.values()
    ]
    wrong = [
        *(each for each in environment["frameworks"].values() if not isinstance(each, dict)),
        *(each for each in (*versions, *environment["processes"].values()) if not isinstance(each, str)),
        *(each for each in environment["seconds_to_import"].values() if not isinstance(each, int | float)),
    ]
    if wrong:
        raise NotAReport(f"{folder} cannot be read: {ENVIRONMENT} has {wrong[0]!r} where something else belongs")


def _is_there(folder: Path, file: str) -> None:
    if not (folder / file).is_file():
        raise NotAReport(f"{folder} is not whole: {file} is missing")


def _table(folder: Path, maker: ModuleType) -> list[Row]:
    _is_there(folder, maker.FILE)
    try:
        return table.read(folder / maker.FILE, maker.COLUMNS)
    except Unreadable as error:
        raise NotAReport(f"{folder} cannot be read: {error}") from None


def _elements(folder: Path) -> Iterator[Row]:
    yield from _table(folder, modules()[STREAMED])


def _json(folder: Path, file: str, fields: Mapping[str, type]) -> dict[str, Any]:
    """Read an object that has these fields."""
    try:
        content = json.loads((folder / file).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotAReport(f"{folder} cannot be read: {file} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise NotAReport(f"{folder} cannot be read: {file} should be an object, but is a {type(content).__name__}")
    for name, kind in fields.items():
        if not isinstance(content.get(name), kind):
            raise NotAReport(f"{folder} cannot be read: {file} has no {name!r}, or not of the kind {kind.__name__}")
    return content
