"""Count false alarms of right answers in low precision, and faults of 1 % and 0.1 % that are seen.

    python -m benchmarks.low_precision --out FILE [--recurrences lstm,gru] [--formats bfloat16] [--groups 1] [--seed 0]
    python -m benchmarks.low_precision --out FILE --table     # write what FILE has into docs/low-precision.md

A group is one draw of two dozen problems of a recurrence in a format. All right answers to it are judged by our
rule, and by the rules of other projects: on all problems, since a test may have any of them, and on the first alone.
Faults are added to some of the answers. FILE has a line for each right answer; a call leaves out those it has.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.low_precision import tables
from benchmarks.low_precision.candidates import FORMATS, contenders
from benchmarks.low_precision.judging import faults, seen, verdicts
from harness.low_precision.problems import SEEDS, problems
from harness.low_precision.rounding import Simulation
from harness.precision.formats import Rounds
from harness.recurrences import recurrences

WITH_FAULTS = ("NumPy, as kernels do", "torch, every operation", "torch, float32 inside", "torch.nn")
"""The right answers to which faults are added, in bfloat16 and float16."""

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of results, a line of JSON each")
    parser.add_argument("--recurrences", default=",".join(recurrences()), help="names, with commas between")
    parser.add_argument("--formats", default=",".join(FORMATS), help="names, with commas between")
    parser.add_argument("--groups", type=int, default=1, help="draws of the problems of each recurrence and format")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="write the tables of FILE and run nothing")
    chosen = parser.parse_args(arguments)
    done = [json.loads(line) for line in chosen.out.read_text().splitlines()] if chosen.out.exists() else []
    if chosen.table:
        tables.write(done)
        return
    known = {_key(row) for row in done}
    with chosen.out.open("a") as file, warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for group in range(chosen.groups):
            for format in chosen.formats.split(","):
                for name in chosen.recurrences.split(","):
                    for row in _rows(name, format, chosen.seed + group, known):
                        file.write(json.dumps(row) + "\n")
                        file.flush()
                        refused = "FALSE ALARM" if row["refused"]["harness"] else "accepted"
                        print(f"{name}, {format}, {row['contender']}: {refused}", flush=True)


def _key(row: Row) -> tuple[object, ...]:
    return row["recurrence"], row["format"], row["group"], row["contender"]


def _rows(name: str, format: str, group: int, known: set[tuple[object, ...]]) -> Iterator[Row]:
    """Yield a row for each right answer that is not known yet."""
    recurrence = recurrences()[name]
    simulated: dict[str, list[Simulation]] = {}
    made: dict[str, list[Any]] = {}
    for contender in contenders(recurrence, format):
        row: Row = {"recurrence": name, "format": format, "group": group, "contender": contender.name}
        if _key(row) in known:
            continue
        where = Rounds.of(contender.rounds)
        drawn = problems(recurrence, where, seed=group * SEEDS)
        if str(where) not in simulated:
            simulated[str(where)] = [Simulation(each.sequences, where, seed) for seed, each in enumerate(drawn)]
        simulations = simulated[str(where)]
        answers = [contender.answer(each) for each in drawn]
        row |= verdicts(answers, simulations)
        if contender.name in WITH_FAULTS and format in ("bfloat16", "float16"):
            if str(where) not in made:
                made[str(where)] = list(faults(simulations, group))
            count, caught = seen(answers, simulations, made[str(where)])
            row |= {"faults": dict(count), "seen": {kind: dict(each) for kind, each in caught.items()}}
        yield row


if __name__ == "__main__":
    main()
