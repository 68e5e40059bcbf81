"""``index.html``: the report as one page that can be read offline.

The page holds the largest errors of every tensor. Heatmaps and plots of all cases would make it too large. It has them
for disagreements, for trainings, and for the largest error of each case file, up to ``MOST_BYTES``.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from harness.casefile.typed import quoted
from harness.comparison.comparison import written
from harness.report import overview
from harness.report.again import again
from harness.report.pictures import add_pictures, badness
from harness.report.report import Report
from harness.report.table import Row

FILE = "index.html"
MAX_ROWS = 50
AT_FIRST = 5
"""Number of disagreements that are visible above the overview."""
MOST_BYTES = 8_000_000
"""Maximum size of heatmaps and plots before they are compressed."""
MOST_PICTURED = 60
"""Maximum number of cases with heatmaps and plots: each takes some hundredths of a second."""


def text(report: Report) -> str:
    """Return the page."""
    from jinja2 import Environment
    from markupsafe import Markup

    sources = files("harness.report").joinpath("page")
    style, script, template = (
        sources.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js", "index.html.j2")
    )
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    wrong = overview.disagreements(report, overview.in_brief)
    documented = overview.explained(report, documented=True)
    return environment.from_string(template).render(
        title="Gradient comparison",
        status=overview.status_line(report),
        floor=overview.floor_line(report),
        wrong=_wrong(report, wrong[:MAX_ROWS]),
        at_first=AT_FIRST,
        more_wrong=max(0, len(wrong) - MAX_ROWS),
        faults=overview.explained(report, documented=False)[:MAX_ROWS],
        documented=documented[:MAX_ROWS],
        known_mismatches=_known_mismatches(documented),
        plots=_plots(report),
        frameworks=sorted(report.environment["frameworks"].items()),
        environment=report.environment,
        data=_packed(_data(report)),
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _known_mismatches(documented: Sequence[overview.Explained]) -> str:
    count = sum(each.cases for each in documented)
    files = "its case file" if count == 1 else "their case files"
    return f"{overview.counted(count, 'known mismatch', 'es')}, declared in {files}"


def _wrong(report: Report, found: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    """Return the disagreements, each with the date of the first report that had it."""
    since = {(row["case"], row["implementation"]): row["since"] for row in report["runs"]}
    return [
        {"case": case, "implementation": name, "what": what, "since": since[case, name].partition("T")[0]}
        for case, name, what in found
    ]


def _hash(source: str) -> str:
    """Return the name of a style or a script in a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _packed(data: Any) -> str:
    """Return data as compressed JSON, about a tenth of the size, in letters and digits that are valid anywhere."""
    written = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(written.encode(), 6, mtime=0)).decode()


def _plots(report: Report) -> list[Any]:
    if not report.plotted:
        return []
    from harness.report.plots import ulp_histogram

    errors: dict[str, list[float]] = defaultdict(list)
    for row in report["comparisons"]:
        if row["max_ulp_error"] is not None:
            errors[row["implementation"]].append(row["max_ulp_error"])
    return [ulp_histogram(errors)] if errors else []


def _data(report: Report) -> dict[str, Any]:
    runs: dict[str, list[Row]] = defaultdict(list)
    tensors: dict[tuple[str, str], list[Row]] = defaultdict(list)
    diagnoses: dict[tuple[str, str], dict[tuple[str, str, str], None]] = defaultdict(dict)
    for row in report["runs"]:
        if row["verdict"]:
            runs[row["case"]].append(row)
    for row in report["comparisons"]:
        if row["elements"]:
            tensors[row["case"], row["implementation"]].append(row)
    for row in report["diagnoses"]:
        diagnoses[row["case"], row["implementation"]][row["fault"], row["explanation"], row["start"]] = None
    cases, repeated = [], again(report.environment)
    for case in report["cases"]:
        of_case = {run["implementation"]: tensors[run["case"], run["implementation"]] for run in runs[case["case"]]}
        there: dict[str, Row] = {}
        for row in (row for rows in of_case.values() for row in rows):
            there.setdefault(row["tensor"], row)
        found = _case(case, there)
        for run in runs[case["case"]]:
            explanations = diagnoses[case["case"], run["implementation"]]
            found["runs"].append(_run(run, of_case[run["implementation"]], there, list(explanations)))
            found["runs"][-1]["again"] = repeated.for_case(case["case"], run["implementation"])
        cases.append(found)
    _add_pictures(report, cases, tensors)
    ran = dict.fromkeys(run["implementation"] for case in cases for run in case["runs"])
    return {"baseline": report.environment["baseline"], "implementations": list(ran), "cases": cases}


def _case(case: Row, tensors: dict[str, Row]) -> dict[str, Any]:
    sizes = ", ".join(f"{name} {case[name]}" for name in ("batch", "time", "input", "hidden", "output") if case[name])
    layers = f"{case['layers']} layer{'s' if case['layers'] > 1 else ''}"
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


def _run(
    run: Row, rows: list[Row], tensors: dict[str, Row], explanations: list[tuple[str, str, str]]
) -> dict[str, Any]:
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
        "diagnoses": [{"fault": fault, "explanation": why, "start": start} for fault, why, start in explanations],
        "compared": [int(name in by_name) for name in tensors],
        "ratios": [_number(by_name[name]["error_ratio"]) if name in by_name else None for name in tensors],
        "ulps": [_number(by_name[name]["max_ulp_error"]) if name in by_name else None for name in tensors],
        "details": {row["tensor"]: _detail(row, tensors[row["tensor"]]) for row in in_full},
        "heats": {},
    }


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
