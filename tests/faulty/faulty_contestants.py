"""Contestants of the benchmark that must not be timed, offered through entry points as any package can."""

import os

from harness.bench.contestants import Contestant
from harness.bench.contestants.hand_written import passes_of
from harness.implementations import Framework

FAULTY = Framework("faulty", ("numpy",), install="")


def off_by_a_thousandth(problem, threads):
    right = passes_of(problem, "split")

    def both():
        found = right()
        return {**found, "layer0.W_hh": found["layer0.W_hh"] * problem.inputs.dtype.type(1.001)}

    return both


def raising(problem, threads):
    raise RuntimeError("cannot be prepared")


def ending_when_timed(problem, threads):
    right, calls = passes_of(problem, "split"), []

    def both():
        calls.append(None)
        if len(calls) > 1:
            os._exit(7)
        return right()

    return both


WRONG = Contestant("wrong-contestant", "split", FAULTY, off_by_a_thousandth, only_named=True)
RAISING = Contestant("raising-contestant", "split", FAULTY, raising, only_named=True)
ENDING = Contestant("ending-contestant", "split", FAULTY, ending_when_timed, only_named=True)
