"""A report read back from its folder, if it is whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.casefile import listed
from harness.casefile.typed import word
from harness.comparison import SEVERITY
from harness.report import table
from harness.report.environment import FIELDS as ENVIRONMENT_FIELDS
from harness.report.environment import FILE as ENVIRONMENT
from harness.report.kept import NAMES as KEPT_FILE
from harness.report.kept import STATUSES
from harness.report.manifest import FILE as MANIFEST
from harness.report.manifest import FORMAT, NotAReport
from harness.report.report import STREAMED, Report, modules
from harness.report.table import Row, Unreadable


def read(folder: Path) -> Report:
    """Read a report from its folder.

    Raises:
        NotAReport: if it is none, is not whole, or is of another version.
    """
    if not folder.is_dir():
        there = "is no folder" if folder.exists() else "does not exist"
        raise NotAReport(f"{folder} {there}; `harness run --out {word(str(folder))}` writes a report there")
    if not (folder / ENVIRONMENT).is_file():
        raise NotAReport(f"{folder} is no report: it has no {ENVIRONMENT}; a report is a folder that harness run wrote")
    environment = _json(folder, ENVIRONMENT, {})
    if not (folder / MANIFEST).is_file():
        whose = f"by harness {environment.get('harness', 'of an unknown version')}"
        raise NotAReport(f"{folder} is not whole, or was written {whose}, too old to be read: it has no {MANIFEST}")
    content = _json(folder, MANIFEST, {})
    if content.get("format") != FORMAT:
        raise NotAReport(
            f"{folder}: {MANIFEST} has the format {content.get('format')!r} of harness {environment.get('harness')}, "
            f"but this one reads {FORMAT}; run it again, or install that version"
        )
    _json(folder, ENVIRONMENT, ENVIRONMENT_FIELDS)
    _check_environment(folder, environment)
    if "rows" not in content and "files" in content:
        raise NotAReport(f"{folder} is not whole: a run ended while its report took this place; run it again")
    _json(folder, MANIFEST, {"rows": dict})
    tables = {}
    for name, maker in modules().items():
        if name == STREAMED:
            _is_there(folder, maker.FILE)
            continue
        tables[name] = _table(folder, maker)
        if len(tables[name]) != (whole := content["rows"].get(maker.FILE)):
            raise NotAReport(
                f"{folder} is not whole: {maker.FILE} has {len(tables[name])} rows, but should have {whole}"
            )
    _check_rows(folder, tables)
    for row in tables["cases"]:
        if row["tensors"]:
            if not re.fullmatch(KEPT_FILE, row["tensors"]):
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
