"""``index.html``: the report as one page that can be read offline.

The page holds the largest errors of every tensor. Heatmaps and plots of all cases would make it too large. It has them
for disagreements, for trainings, and for the largest error of each case file, up to ``MOST_BYTES``.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.case.fields import CELLS
from harness.casefile.typed import quoted
from harness.comparison.comparison import written
from harness.diagnosis import NOT_FINITE
from harness.report import overview
from harness.report.again import again
from harness.report.banner import banner_of
from harness.report.gallery import Entry, entries
from harness.report.grouping import VARIANTS, grouped
from harness.report.page import rendered
from harness.report.pictures import add_pictures, badness
from harness.report.report import Report
from harness.report.table import Row
from harness.terminal.words import counted

FILE = "index.html"
MAX_ROWS = 50
AT_FIRST = 8
"""Number of causes that are visible above the overview."""
MAX_FAULTS = 12
"""Maximum number of faults that are shown as in the gallery: each has a picture of some ten kilobytes."""
SHADES = 4
"""Number of tints in the table of rounding; the style sheet has a class for each."""
MOST_BYTES = 8_000_000
"""Maximum size of heatmaps and plots before they are compressed."""
MOST_PICTURED = 60
"""Maximum number of cases with heatmaps and plots: each takes some hundredths of a second."""
ULP_BELOW = [
    (math.nextafter(0, 1), "0"),
    (1.0, "1"),
    *((2.0**k, f"{2**k}" if k < 10 else f"2^{k}") for k in range(1, 25, 2)),
    (math.inf, "more"),
]
"""The columns of the table of rounding: the bound of each, in ulp, and its title."""


def text(report: Report) -> str:
    """Return the page."""
    wrong, each = overview.what_is_wrong(report), overview.disagreements(report, overview.in_brief)
    documented = overview.explained(report, documented=True)
    gallery = _gallery(report)
    return rendered(
        "index.html.j2",
        styles=("base.css", "page.css"),
        script="page.js",
        banner=banner_of(report),
        wrong=wrong[:MAX_ROWS],
        at_first=AT_FIRST,
        one_by_one=_one_by_one(report, each[:MAX_ROWS]),
        documented=documented[:MAX_ROWS],
        counts={
            "disagreements": counted(len(each), "disagreement"),
            "left_out": f"{len(each) - MAX_ROWS:,}" if len(each) > MAX_ROWS else "",
            "documented": _known_mismatches(documented),
        },
        gallery=gallery,
        ulp=_ulp(report),
        frameworks=sorted(report.environment["frameworks"].items()),
        environment=report.environment,
        data=_packed({**_data(report), "gallery": list(gallery)}),
    )


def _gallery(report: Report) -> dict[str, Entry]:
    """Return the entries in the gallery of the faults that are named most often."""
    named = Counter(name for row in report["diagnoses"] for name in row["fault"].split(" + "))
    known = [(name, entries()[name]) for name, _ in named.most_common() if name in entries()]
    return dict(known[:MAX_FAULTS])


def _known_mismatches(documented: Sequence[overview.Explained]) -> str:
    count = sum(each.cases for each in documented)
    files = "its case file" if count == 1 else "their case files"
    return f"{counted(count, 'known mismatch', 'es')}, declared in {files}"


def _one_by_one(report: Report, found: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Return the disagreements, each with the date of the first report that had it."""
    since = {(row["case"], row["implementation"]): row["since"] for row in report["runs"]}
    return [
        {"case": case, "implementation": name, "what": what, "since": since[case, name].partition("T")[0]}
        for case, name, what in found
    ]


def _ulp(report: Report) -> dict[str, Any]:
    """Return the number of tensors of each implementation by their largest errors, in ulp."""
    errors: dict[str, list[float]] = defaultdict(list)
    for row in report["comparisons"]:
        if row["max_ulp_error"] is not None:
            errors[row["implementation"]].append(row["max_ulp_error"])
    if not errors or not report.plotted:
        return {"edges": [], "rows": []}
    counts = {name: _histogram(values) for name, values in errors.items()}
    used = [k for k in range(len(ULP_BELOW)) if any(each[k] for each in counts.values())]
    rows = [
        {"name": name, "cells": [(each[k], math.ceil(SHADES * each[k] / sum(each))) for k in used]}
        for name, each in counts.items()
    ]
    return {"edges": [ULP_BELOW[k][1] for k in used], "rows": rows}


def _histogram(values: Sequence[float]) -> list[int]:
    counts = [0] * len(ULP_BELOW)
    for value in values:
        counts[next(k for k, (edge, _) in enumerate(ULP_BELOW) if value < edge or edge == math.inf)] += 1
    return counts


def _packed(data: Any) -> str:
    """Return data as compressed JSON, about a tenth of the size, in letters and digits that are valid anywhere."""
    written = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(written.encode(), 6, mtime=0)).decode()


def _data(report: Report) -> dict[str, Any]:
    runs: dict[str, list[Row]] = defaultdict(list)
    tensors: dict[tuple[str, str], list[Row]] = defaultdict(list)
    diagnoses: dict[tuple[str, str], dict[tuple[str, str, str], set[str]]] = defaultdict(dict)
    for row in report["runs"]:
        if row["verdict"]:
            runs[row["case"]].append(row)
    for row in report["comparisons"]:
        if row["elements"]:
            tensors[row["case"], row["implementation"]].append(row)
    for row in report["diagnoses"]:
        of_run = diagnoses[row["case"], row["implementation"]]
        of_run.setdefault((row["fault"], row["explanation"], row["start"]), set()).add(row["tensor"])
    cases, repeated = [], again(report.environment)
    for case in report["cases"]:
        of_case = {run["implementation"]: tensors[run["case"], run["implementation"]] for run in runs[case["case"]]}
        there: dict[str, Row] = {}
        for row in (row for rows in of_case.values() for row in rows):
            there.setdefault(row["tensor"], row)
        found = _case(case, there)
        for run in runs[case["case"]]:
            explanations = diagnoses[case["case"], run["implementation"]]
            found["runs"].append(_run(run, of_case[run["implementation"]], there, _apart(explanations)))
            found["runs"][-1]["again"] = repeated.for_case(case["case"], run["implementation"])
        cases.append(found)
    _add_pictures(report, cases, tensors)
    ran = dict.fromkeys(run["implementation"] for case in cases for run in case["runs"])
    groups = [{"name": group, "implementations": names, "folded": group == VARIANTS} for group, names in grouped(ran)]
    return {"baseline": report.environment["baseline"], "groups": groups, "cases": cases}


def _case(case: Row, tensors: dict[str, Row]) -> dict[str, Any]:
    sizes = ", ".join(f"{name} {case[name]}" for name in ("batch", "time", "input", "hidden", "output") if case[name])
    is_network = case["cell"] in CELLS
    layers = counted(case["layers"], "layer") if is_network else "a recurrence"
    return {
        "name": case["case"],
        "typed": quoted(case["case"]),
        "about": case["about"],
        "what": f"{case['cell']}, {layers}, {sizes}, {case['dtype']}",
        "because": case["because"],
        "surprise": case["surprise"],
        "as_expected": case["as_expected"],
        "tensors": [
            {
                "name": name,
                "shape": list(row["shape"]),
                "tolerance": _tolerance(row),
                "origin": row["origin"],
            }
            for name, row in tensors.items()
        ],
        "runs": [],
        "plots": [],
    }


def _tolerance(row: Row) -> str:
    if row["atol"] is None:
        return ""
    return f"{row['atol']:.3g}" + (f" + {row['rtol']:.3g} |expected|" if row["rtol"] else "")


def _run(run: Row, rows: list[Row], tensors: dict[str, Row], explanations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the page's data on an implementation in a case; matching tensors have few fields, to keep it small."""
    by_name = {row["tensor"]: row for row in rows}
    worst = max(rows, key=_ratio, default=None)
    in_full = [row for row in rows if row is worst or row["verdict"] != "match" or row["reason"]]
    return {
        "implementation": run["implementation"],
        "verdict": run["verdict"],
        "reason": run["reason"],
        "oracle": run["oracle"],
        "since": run["since"],
        "diagnoses": explanations,
        "compared": [int(name in by_name) for name in tensors],
        "ratios": [_number(by_name[name]["error_ratio"]) if name in by_name else None for name in tensors],
        "ulps": [_number(by_name[name]["max_ulp_error"]) if name in by_name else None for name in tensors],
        "details": {row["tensor"]: _detail(row, tensors[row["tensor"]]) for row in in_full},
        "heats": {},
    }


def _apart(explanations: Mapping[tuple[str, str, str], set[str]]) -> list[dict[str, Any]]:
    """Return the best explanation of each set of tensors, with the names of the other explanations of the same.

    Args:
        explanations: the tensors of each explanation: of its fault, its words and its start; the best one comes first.
    """
    found: list[tuple[dict[str, Any], set[str]]] = []
    for (fault, words, start), tensors in explanations.items():
        same = (each for each, its in found if its & tensors and NOT_FINITE not in (fault, each["fault"]))
        first = next(same, None)
        if first is None:
            found.append(({"fault": fault, "explanation": words, "start": start, "others": []}, tensors))
        elif fault not in (first["fault"], *first["others"]):
            first["others"].append(fault)
    return [each for each, _ in found]


def _ratio(row: Row) -> float:
    ratio = row["error_ratio"]
    return math.inf if ratio is None or math.isnan(ratio) else float(ratio)


def _detail(row: Row, first: Row) -> dict[str, Any]:
    """Return the worst element of a tensor in full digits, and its tolerance if it differs from the first one's."""
    listed = ("verdict", "failed", "elements", "reason")
    found = {name: row[name] for name in listed if row[name] not in ("", 0, "match")}
    if (row["atol"], row["rtol"]) != (first["atol"], first["rtol"]):
        found |= {"tolerance": _tolerance(row), "origin": row["origin"]}
    if row["error_ratio"] is not None:
        found |= {
            "at": list(row["worst_index"]),
            "actual": written(row["actual"], row["dtype"]),
            "expected": written(row["expected"], row["dtype"]),
            "allowed": f"{row['allowed']:.3g}",
        }
    return found


def _number(value: float | None) -> float | str | None:
    """Return a number with three digits for JSON."""
    if value is None:
        return None
    return float(f"{value:.3g}") if math.isfinite(value) else str(value)


def _add_pictures(
    report: Report, cases: list[dict[str, Any]], tensors: Mapping[tuple[str, str], Sequence[Row]]
) -> None:
    """Add heatmaps and plots to the most urgent cases, as long as there is room."""
    room, kept = MOST_BYTES, report.kept
    for case in sorted(cases, key=_urgency(report, cases))[:MOST_PICTURED]:
        if case["name"] not in kept:
            continue
        compared = {run["implementation"]: tensors[case["name"], run["implementation"]] for run in case["runs"]}
        room -= add_pictures(case, kept[case["name"]], compared, plotted=report.plotted)
        if room < 0:
            return


def _urgency(report: Report, cases: list[dict[str, Any]]) -> Callable[[dict[str, Any]], Any]:
    """Return a key to sort cases: unexpected results first, then the worst case of each file, then all others."""
    files = {row["case"]: row["file"] for row in report["cases"]}
    worst = {case["name"]: -badness(case["runs"]) for case in cases}
    worst_of_file: dict[str, str] = {}
    for name in sorted(worst, key=lambda name: worst[name]):
        worst_of_file.setdefault(files[name], name)
    chosen = set(worst_of_file.values())
    return lambda case: (case["as_expected"], case["name"] not in chosen, worst[case["name"]])
