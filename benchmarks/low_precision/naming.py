"""The share of wrong answers in low precision whose fault is named.

    python -m benchmarks.low_precision.naming --format bfloat16

Each fault of the derived pass is added, in float64, to the gradients of torch's autograd in the format. A fault is
visible if it moves a tensor beyond its rounding noise on each problem. The table counts how the diagnosis answers.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.low_precision.frameworks import by_torch, unrolled
from harness.low_precision.judging import MOST_OF_RMS
from harness.low_precision.naming import PROBLEMS, Nearby, nearest_faults
from harness.low_precision.problems import problems
from harness.low_precision.rounding import Simulation
from harness.precision.formats import Rounds
from harness.recurrences import Recurrence, recurrences

FIRST, SHOWN, OTHER, NONE = "named first", "shown beside others", "another is named", "none is named"


def counted(recurrence: Recurrence, format: str) -> Counter[str]:
    """Return how many visible faults of a recurrence are answered in each way."""
    rounds = Rounds.of(format)
    drawn = problems(recurrence, rounds, count=PROBLEMS)
    simulations = [Simulation(each.sequences, rounds, seed) for seed, each in enumerate(drawn)]
    answer = by_torch(unrolled(recurrence), getattr(torch, format))
    answers = [answer(each) for each in drawn]
    nearby = [Nearby(each) for each in simulations]
    found: Counter[str] = Counter()
    for r, rule in enumerate(nearby[0].rules):
        distances = []
        for right, near, simulation in zip(answers, nearby, simulations, strict=True):
            wrong = {
                name: array + (near.predictions[name][r] - simulation.right[name])
                for name, array in right.items()
                if name in near.predictions
            }
            distances.append((near.rules, near.distances(wrong)))
        if any(max(each.right.values()) <= MOST_OF_RMS for _, each in distances):
            continue  # it is not visible on each problem
        shown = [each.explanation for each in nearest_faults(distances)]
        own = [text.startswith(f"{rule.text} (") for text in shown]
        found[NONE if not shown else FIRST if own[0] else SHOWN if any(own) else OTHER] += 1
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each recurrence, and their sum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recurrences", default=",".join(recurrences()), help="names, with commas between")
    parser.add_argument("--format", default="bfloat16", choices=("bfloat16", "float16"))
    chosen = parser.parse_args(arguments)
    total: Counter[str] = Counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name in chosen.recurrences.split(","):
            begun = time.process_time()
            found = counted(recurrences()[name], chosen.format)
            total += found
            print(f"{name}: {found.total()} visible, {dict(found)}, {time.process_time() - begun:.0f} s", flush=True)
    print(f"all: {total.total()} visible, {dict(total)}")


if __name__ == "__main__":
    main()
