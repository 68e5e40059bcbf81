"""Compilation of the implementations on JAX: quick, unless that could change their answers."""

import numpy as np
import pytest

from harness.case import Loss, Sizes, ValidCase
from harness.implementations import implementations, jax_scan
from harness.problem import build

OUTPUTS = np.ones((1, 2, 4))


def problem_of():
    sizes = Sizes(batch=1, time=2, input=3, hidden=4)
    return build(ValidCase(name="any", file="any", sizes=sizes, loss=Loss("dot"), upstream="ones"), None)


@pytest.fixture
def compilations(monkeypatch):
    """The gradient of b_h from a quick and from a thorough compilation, and the compilations that were made."""
    found, made = {True: 1.0, False: 2.0}, []

    def compiled(outputs_of, program, quickly):
        def answer(*given):
            made.append(quickly)
            return (np.array(0.5), OUTPUTS), {"layer0.b_h": np.full(4, found[quickly])}

        return answer

    monkeypatch.setattr(jax_scan, "_compiled", compiled)
    return found, made


def test_finite_answers_are_those_of_the_quick_compilation(compilations):
    found, made = compilations
    answer = implementations()["jax"].function(problem_of())
    assert made == [True]
    assert answer["layer0.b_h"].tolist() == [found[True]] * 4
    assert answer.keys() == {"loss", "outputs", "layer0.b_h"}


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_where_a_number_is_not_finite_the_answer_is_jaxs_own(compilations, number):
    found, made = compilations
    found[True] = number
    answer = implementations()["jax"].function(problem_of())
    assert made == [True, False]
    assert answer["layer0.b_h"].tolist() == [found[False]] * 4


@pytest.mark.framework
def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    pytest.importorskip("jax")
    monkeypatch.setattr(jax_scan, "QUICK", {**jax_scan.QUICK, "xla_cpu_no_such_option": True})
    known = jax_scan._known_options.__wrapped__()
    assert "xla_cpu_no_such_option" not in known
    assert known == {name: value for name, value in jax_scan.QUICK.items() if name in known}
    assert known, "all are forgotten: compiling takes three times as long; see what XLA calls them now"
