"""The headroom of each tolerance above the errors in a report: ``python -m harness.report.headroom REPORT``.

The default tolerances are set from this table. A line's headroom is its units divided by the worst error seen, counted
in the same units; it should be large enough for another machine's rounding, and at most ``MOST``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.precision.tolerance import OTHER_UNITS, UNITS
from harness.tensors import kind_of
from harness.terminal import BAD_INPUT, ended

if TYPE_CHECKING:
    import pandas as pd

MOST = 30.0
"""Maximum headroom of a tolerance: a larger one would let unexplained errors pass."""


def headroom(report: Path) -> pd.DataFrame:
    """Return the worst error by dtype and kind of tensor, over comparisons under the default tolerances that match.

    Columns: dtype, kind, units (the table's), worst (the largest error, in units), headroom (units / worst),
    comparisons (how many), implementation and case (where the worst is).
    """
    import pandas as pd

    compared = pd.read_csv(report / "comparisons.csv", keep_default_na=False, na_values={"error_ratio": ["", "nan"]})
    in_force = pd.read_csv(report / "tolerances.csv")
    default = in_force[in_force["origin"].str.contains(" units for ")][["case", "tensor"]]
    # Published values are compared to their digits, not to the table.
    compared = compared[compared["implementation"] != "published"]
    matching = compared[compared["verdict"] == "match"].merge(default, on=["case", "tensor"])
    matching["kind"] = matching["tensor"].map(kind_of)
    rows = []
    for (dtype, kind), group in matching.groupby(["dtype", "kind"]):
        units = UNITS.get(str(dtype), {}).get(str(kind), OTHER_UNITS)
        worst = group.sort_values("error_ratio").iloc[-1]
        ratio = float(worst["error_ratio"])
        rows.append(
            {
                "dtype": dtype,
                "kind": kind,
                "units": units,
                "worst": ratio * units,
                "headroom": 1 / ratio if ratio else float("inf"),
                "comparisons": len(group),
                "implementation": worst["implementation"],
                "case": worst["case"],
            }
        )
    return pd.DataFrame(rows)


def main(arguments: Sequence[str]) -> int:
    """Print the table of a report; return the exit status, 1 if a tolerance has more headroom than it should."""
    if len(arguments) != 1:
        sys.stderr.write("Usage: python -m harness.report.headroom REPORT\n")
        return BAD_INPUT
    table = headroom(Path(arguments[0]))
    print(table.to_string(index=False, float_format=lambda number: f"{number:.2f}"))
    return int((table["headroom"] > MOST).any())


if __name__ == "__main__":
    sys.exit(ended(lambda: main(sys.argv[1:]), for_good=True))
