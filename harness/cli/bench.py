"""``harness bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import Exit
from harness.cli.options import keeps, need
from harness.terminal import write_json

if TYPE_CHECKING:
    from harness.bench import Bench, Contestant
    from harness.report.table import Row


def _separated(context: click.Context, option: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    del context, option
    return tuple(dict.fromkeys(name.strip() for each in given for name in each.split(",") if name.strip()))


@click.command("bench")
@click.option("--quick", is_flag=True, help="Time only points that take milliseconds (under half a minute in all).")
@click.option("--cell", "cells", multiple=True, callback=_separated, metavar="A,B", help="Only these cells.")
@click.option("--impl", "names", multiple=True, callback=_separated, metavar="A,B", help="Only these contestants.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Threads of each process.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/bench"), show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def command(
    quick: bool, cells: tuple[str, ...], names: tuple[str, ...], threads: int, out: Path, as_json: bool
) -> None:
    """Time forward and backward of the hand-written gradients and of the frameworks, side by side in one run.

    Each contestant must first agree with the reference, within the tolerances of `harness run`; one that does not is
    not timed. Then all run in turn, round after round, so that other load on the machine affects all alike. The folder
    of --out gets the table as bench.csv and a plot as bench.svg, which matplotlib draws (extra `bench`).
    """
    need("matplotlib", extra="bench")
    from harness.bench import bench, grid
    from harness.bench import table as tables
    from harness.bench.folder import Folder
    from harness.bench.plot import FILE as PLOT
    from harness.bench.plot import draw
    from harness.cli.screen import progress
    from harness.report.table import write

    chosen, points = _contestants(names), grid(_cells(cells), quick=quick)
    folder = Folder(out)
    with progress(len(points), list, "points") as show:

        def keep(so_far: Bench) -> None:
            """Write the points timed so far, so that an interrupted run keeps them."""
            folder.put(tables.FILE, lambda path: write(path, tables.COLUMNS, tables.rows(so_far)))
            keeps(f"the points timed so far are in {out / tables.FILE}")
            show(len(so_far.peaks))

        found = bench(
            points,
            chosen,
            threads=threads,
            seconds=SECONDS_QUICK if quick else SECONDS,
            show=keep,
        )
    rows = tables.rows(found)
    folder.put(PLOT, lambda path: draw(path, rows))
    if as_json:
        write_json(rows)
    else:
        _print(rows)
        click.echo(f"Threads in each process: {found.threads}. Table: {out / tables.FILE}. Plot: {out / PLOT}.")
    refused = [row for row in rows if row["status"] in ("mismatch", "error")]
    for row in refused:
        sizes = ", ".join(f"{row[each]}" for each in ("batch", "time", "input", "hidden"))
        where = f"{row['contestant']}, {row['cell']} {row['dtype']} {sizes}"
        click.echo(f"{where}: not timed ({row['status']}): {row['reason']}", err=True)
    if any(row["status"] == "error" for row in refused):
        raise click.exceptions.Exit(Exit.IMPLEMENTATION_FAILED)
    raise click.exceptions.Exit(Exit.MISMATCH if refused else Exit.AS_EXPECTED)


SECONDS = 10.0
"""Seconds for the rounds of one point."""

SECONDS_QUICK = 0.5


def _contestants(names: tuple[str, ...]) -> list[Contestant]:
    """Return contestants by name, or all whose frameworks are installed; end the command if a named one is missing."""
    from harness.bench import contestants
    from harness.casefile import nearest
    from harness.implementations import install_line, missing_modules

    there = contestants()
    for name in names:
        if name not in there:
            raise click.UsageError(
                f"there is no contestant {name!r}; {nearest(name, there) or 'there are ' + ', '.join(there)}"
            )
    wanted = [there[name] for name in names] or [each for each in there.values() if not each.only_named]
    missing = {each.name: missing_modules(each.framework) for each in wanted}
    for each in wanted:
        if missing[each.name]:
            line = install_line(each.framework)
            click.echo(f"{each.name} needs {missing[each.name][0]}, which is not installed; {line}", err=True)
    if names and any(missing.values()):
        raise click.exceptions.Exit(Exit.NOT_INSTALLED)
    return [each for each in wanted if not missing[each.name]]


def _cells(names: tuple[str, ...]) -> tuple[str, ...]:
    from harness.bench import CELLS
    from harness.casefile import nearest

    for name in names:
        if name not in CELLS:
            raise click.UsageError(
                f"there is no cell {name!r}; {nearest(name, CELLS) or 'there are ' + ', '.join(CELLS)}"
            )
    return names or CELLS


def _print(rows: list[Row]) -> None:
    from harness.bench.table import best_by_hand, geometric_mean
    from harness.cli.screen import table

    columns = ["cell", "dtype", "B, T, I, H", "contestant", "ms", "quartiles", "torch, TF", "others", "peak"]
    printed = [
        [
            row["cell"],
            row["dtype"],
            ", ".join(f"{row[each]}" for each in ("batch", "time", "input", "hidden")),
            row["contestant"],
            _number(row["median_seconds"], 1e3),
            f"{_number(row['lower_quartile_seconds'], 1e3)} to {_number(row['upper_quartile_seconds'], 1e3)}",
            _number(row["ratio_to_torch_and_tensorflow"]),
            _number(row["ratio_to_others"]),
            _number(row["share_of_peak"], 100, " %"),
        ]
        for row in rows
        if row["status"] == "ok"
    ]
    table(
        "Forward and backward; ratios are to the fastest of torch and TensorFlow, and of all others", columns, printed
    )
    best = best_by_hand(rows)
    for clock, prefix in (("clock", ""), ("processors' time", "processor_")):
        for others, suffix in (("torch and TensorFlow", "torch_and_tensorflow"), ("all others", "others")):
            column = f"{prefix}ratio_to_{suffix}"
            mean = geometric_mean(best, column)
            if mean is not None:
                largest = max(row[column] for row in best if row[column] is not None)
                click.echo(
                    f"Time of the faster NumPy derivation over the fastest of {others}, by the {clock}: "
                    f"geometric mean {mean:.2f}, maximum {largest:.2f}"
                )


def _number(value: Any, times: float = 1.0, unit: str = "") -> str:
    return "" if value is None else f"{value * times:.3g}{unit}"
