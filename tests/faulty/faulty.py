"""Implementations that are wrong, each in one way, offered through entry points as any package can.

``WRONG`` are mismatches, ``FAILING`` end in an error, ``RIGHT`` are right and behave badly. They run in a process of
their own, so that those that end it lose no other results.
"""

import os
import signal
import sys

import numpy as np

from harness import implementation
from harness.implementations import Framework, Unsupported
from harness.problem.reference import solve
from reference_impls import network, rnn_split
from reference_impls.activations import ACTIVATIONS

FAULTY = Framework("faulty", ("numpy",), install="")


def right(problem):
    activation = ACTIVATIONS[problem.case.activation]
    passed = network.forward(rnn_split, problem.weights, problem.inputs, problem.initial_state, activation)
    loss, d_outputs = problem.loss(passed.outputs)
    gradients = network.backward(rnn_split, problem.weights, passed, d_outputs)
    return {"loss": loss, "outputs": passed.outputs, **gradients}


def _changed(change):
    def function(problem):
        returned = right(problem)
        change(returned)
        return returned

    return function


def off_by_a_millionth(returned):
    returned["layer0.W_hh"][0, 1] *= 1 + 1e-6


def off_by_a_thousandth(returned):
    returned["layer1.b_h"] *= 1.001


def transposed(returned):
    returned["layer0.W_hh"] = returned["layer0.W_hh"].T


def swapped_layers(returned):
    returned["layer0.b_h"], returned["layer1.b_h"] = returned["layer1.b_h"], returned["layer0.b_h"]


def sign(returned):
    returned["layer0.h0"] *= -1


def missing(returned):
    del returned["layer1.W_hh"]


def extra(returned):
    returned["layer9.W_hh"] = returned["layer1.W_hh"]


def misnamed(returned):
    returned["layer0.W_hx"] = returned.pop("layer0.W_xh")


def wrong_shape(returned):
    returned["layer0.b_h"] = returned["layer0.b_h"][:-1]


def extra_axis(returned):
    returned["layer0.b_h"] = returned["layer0.b_h"][None]


def wrong_dtype(returned):
    returned["layer0.W_xh"] = returned["layer0.W_xh"].astype(np.float32)


def all_zero(returned):
    returned["inputs"][:] = 0


def wrong_loss(returned):
    returned["loss"] = returned["loss"] / 2


def wrong_outputs(returned):
    returned["outputs"] = returned["outputs"][:, ::-1]


def not_a_number(returned):
    returned["layer0.W_xh"][1, 2] = np.nan


def infinite(returned):
    returned["inputs"][0, 0, 0] = np.inf


def _slope_one_at_zero(problem):
    """Right, but at the kink of relu it takes the slope 1."""
    passed = network.forward(
        rnn_split, problem.weights, problem.inputs, problem.initial_state, ACTIVATIONS[problem.case.activation]
    )
    caches = [
        cache._replace(
            activation=cache.activation._replace(slope_at_value=lambda h, a=cache.pre: (a >= 0).astype(h.dtype))
        )
        for cache in passed.caches
    ]
    loss, d_outputs = problem.loss(passed.outputs)
    gradients = network.backward(rnn_split, problem.weights, passed._replace(caches=caches), d_outputs)
    return {"loss": loss, "outputs": passed.outputs, **gradients}


def _slope_one_at_zero_and_wrong(problem):
    returned = _slope_one_at_zero(problem)
    off_by_a_thousandth(returned)
    return returned


def _raising(problem):
    raise ValueError("shapes (4,3) and (4,5) not aligned")


def _aborting(problem):
    print("about to abort", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGABRT)


def _exiting(problem):
    os._exit(7)


def _returning_nothing(problem):
    return None


def _returning_text(problem):
    return {"loss": "small"}


def _printing(problem):
    print("x" * 100_000)
    os.write(1, b"\x00\x01 straight to the descriptor\n")
    return right(problem)


def _partial(problem):
    return {"layer0.W_hh": right(problem)["layer0.W_hh"]}


def _representing_nothing(problem):
    raise Unsupported("this one represents nothing")


WRONG = {
    change.__name__: _changed(change)
    for change in (
        off_by_a_millionth,
        off_by_a_thousandth,
        transposed,
        swapped_layers,
        sign,
        missing,
        extra,
        misnamed,
        wrong_shape,
        extra_axis,
        wrong_dtype,
        all_zero,
        wrong_loss,
        wrong_outputs,
    )
}
FAILING = {
    "not_a_number": _changed(not_a_number),
    "infinite": _changed(infinite),
    "raising": _raising,
    "aborting": _aborting,
    "exiting": _exiting,
    "returning_nothing": _returning_nothing,
    "returning_text": _returning_text,
}
RIGHT = {"printing": _printing, "partial": _partial}
UNABLE = {"representing_nothing": _representing_nothing}

AT_KINK = {
    "slope_one_at_zero": _slope_one_at_zero,
    "slope_one_at_zero_and_wrong": _slope_one_at_zero_and_wrong,
}

for _name, _function in {**AT_KINK, **WRONG, **FAILING, **RIGHT, **UNABLE}.items():
    globals()[f"implementation_{_name}"] = implementation(_name, framework=FAULTY, complete=_name != "partial")(
        _function
    )

implementation_absent = implementation(
    "absent", framework=Framework("absent", ("a_module_that_is_not_there",), install="")
)(right)


@implementation("wrong_in_a_corner", framework=FAULTY)
def implementation_wrong_in_a_corner(problem):
    """Right but for sequences of one step in two layers or more with relu."""
    returned = solve(problem)
    if problem.structure.time == 1 and problem.structure.layers > 1 and problem.case.activation == "relu":
        returned["layer1.b_h"] = returned["layer1.b_h"] + 0.5
    return returned


@implementation("wrong_with_lengths", framework=FAULTY)
def implementation_wrong_with_lengths(problem):
    """Right but for a batch of one that has a length."""
    returned = solve(problem)
    if problem.lengths is not None and len(problem.lengths) == 1:
        returned["inputs"] = returned["inputs"] * 1.5 + 1
    return returned


@implementation("crashing_in_a_corner", framework=FAULTY)
def implementation_crashing_in_a_corner(problem):
    """Right but for three layers, where it ends its process."""
    if problem.structure.layers == 3:
        os.abort()
    return solve(problem)


@implementation("cell_of_another_sign", framework=FAULTY, recurrence="peephole_lstm")
def implementation_cell_of_another_sign(problem):
    """A peephole LSTM whose gradient by the first cell is of the wrong sign."""
    returned = solve(problem)
    return {**returned, "c0": -returned["c0"]}
