"""The right answers that a rule must accept, for each recurrence and format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.low_precision.frameworks import autocast, by_jax, by_torch, in_float32, module, unrolled
from benchmarks.low_precision.passes import BLOCK, Answer, LowSums, Stochastic, rounding
from benchmarks.low_precision.scans import SCANS
from harness.precision.formats import Rounds
from harness.recurrences import Recurrence

FORMATS = ("bfloat16", "float16", "tf32", "float8_e4m3fn", "float8_e5m2")
WITH_MODULES = ("rnn", "lstm", "gru")
WRONG_IN_JAX = (("attention_decoder", "float16"), ("linear_attention", "float16"))
"""The answers of JAX that are wrong: its slope of x / y is −x / y², and y² overflows."""

Declared = str | Mapping[str, str]


class Contender(NamedTuple):
    """One right answer.

    Attributes:
        name: its name in the tables.
        rounds: the places where it declares that it rounds.
        answer: the answer.
    """

    name: str
    rounds: Declared
    answer: Answer


def contenders(recurrence: Recurrence, format: str) -> Iterator[Contender]:
    """Yield the right answers of a recurrence in a format."""
    if format == "tf32":
        yield Contender("NumPy, products of rounded factors", "tf32", rounding(Rounds.of("tf32")))
        return
    everywhere = Rounds.of(format)
    kernel = {"matmul": format, "einsum": format, "carry": format, "stored": format}
    stored = {"stored": format}
    yield Contender("NumPy, every operation", format, rounding(everywhere))
    yield Contender("NumPy, rounded at random", format, rounding(everywhere, Stochastic(np.random.default_rng(7))))
    yield Contender("NumPy, as kernels do, undeclared", format, rounding(Rounds.of(kernel)))
    yield Contender("NumPy, as kernels do", kernel, rounding(Rounds.of(kernel)))
    yield Contender("NumPy, what is stored, undeclared", format, rounding(Rounds.of(stored)))
    yield Contender("NumPy, what is stored", stored, rounding(Rounds.of(stored)))
    yield Contender("NumPy, sums one by one", format, rounding(everywhere, LowSums()))
    yield Contender("NumPy, sums by blocks", format, rounding(everywhere, LowSums(BLOCK)))
    if format.startswith("float8"):
        return
    dtype = getattr(torch, format)
    yield Contender("torch, every operation", format, by_torch(unrolled(recurrence), dtype))
    yield Contender("torch, float32 inside", format, by_torch(in_float32(recurrence), dtype))
    yield Contender("torch, autocast", format, by_torch(autocast(recurrence, dtype), torch.float32))
    if recurrence.name in WITH_MODULES:
        yield Contender("torch.nn", format, by_torch(module, dtype))
    for name, function in SCANS.get(recurrence.name, {}).items():
        yield Contender(f"torch, {name}", format, by_torch(function, dtype))
    if (recurrence.name, format) not in WRONG_IN_JAX:
        yield Contender("JAX, compiled", format, by_jax(recurrence, format))
