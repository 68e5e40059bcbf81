"""Wrong gradients that shipped in kernels, rebuilt: the problems that are made for a recurrence catch each of them.

Most were hidden by a configuration and not by a tolerance: the tests of their projects had one head, one sequence, a
length that was a multiple of the chunk, or widths within one tile. Each fault here is wrong in such places alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.derive.recording import Recording, answered
from harness.derive.reverse import gradients
from harness.problem.reference import solve
from harness.recurrences import Recurrence, recurrences

pytestmark = pytest.mark.slow


@harness.recurrence(weights={"W": "I H", "U": "H H"}, inputs={"x": "I", "mask": "H"}, state={"h": "H"})
def zoneout(xp, w, x, s):
    """A plain recurrent network that keeps some units, by a mask of each step (Krueger et al. 2017)."""
    h = xp.tanh(x["x"] @ w["W"] + s["h"] @ w["U"])
    h = x["mask"] * s["h"] + (1 - x["mask"]) * h
    return {"h": h}, h


def right(problem):
    return dict(solve(problem))


def of_other_arrays(problem, **changed):
    """Return the gradients of the same step with some arrays changed, as a kernel takes them that reads others."""
    sequences = replace(problem.sequences, **changed)
    recording = Recording(sequences)
    return {**answered(recording, sequences), **gradients(recording, sequences)}


def gate_of_the_first_head(problem):
    """flash-linear-attention 781: every head reads the gate of head 0."""
    dt = problem.inputs["dt"]
    first = np.repeat(dt[:, :, :1], dt.shape[2], 2)
    return right(problem) | {
        "D": of_other_arrays(problem, inputs={**problem.inputs, "dt": first})["inputs.x"].sum((0, 1, 3))
    }


def only_one_tile(problem):
    """flash-linear-attention 941 and 1033: the gradient of q sees the first 64 of V."""
    found, V = right(problem), problem.upstream.shape[-1]
    upstream = np.where(np.arange(V) < 64, problem.upstream, 0)
    return found | {"inputs.q": of_other_arrays(problem, upstream=upstream)["inputs.q"]}


def upstream_of_ones(problem):
    """flash-linear-attention 963: the upstream gradient is ignored."""
    return of_other_arrays(problem, upstream=np.ones_like(problem.upstream))


def last_state_below_a_chunk(problem):
    """accelerated-scan 15: the gradient of the last state is lost where a sequence is shorter than a chunk."""
    if problem.upstream.shape[1] % 16 == 0:
        return right(problem)
    none = {name: np.zeros_like(g) for name, g in problem.upstream_state.items()}
    return of_other_arrays(problem, upstream_state=none)


def beyond_a_chunk(problem):
    """A carry that is lost at the end of a chunk of 64 steps."""
    found = right(problem)
    if problem.upstream.shape[1] > 64:
        found["h0"] = np.zeros_like(found["h0"])
    return found


def one_sequence(problem):
    """RWKV-CUDA: sequences of a batch write to the same gradient of a weight, and the last one wins."""
    found = right(problem)
    upstream = np.zeros_like(problem.upstream)
    upstream[-1] = problem.upstream[-1]
    states = {
        name: np.where((np.arange(len(g)) == len(g) - 1).reshape(-1, 1), g, 0)
        for name, g in problem.upstream_state.items()
    }
    return found | {"w": of_other_arrays(problem, upstream=upstream, upstream_state=states)["w"]}


def last_of_the_group(problem):
    """mamba 547: a parameter that all heads share takes the gradient of the last head."""
    upstream = np.zeros_like(problem.upstream)
    upstream[:, :, -1] = problem.upstream[:, :, -1]
    states = {"h": np.zeros_like(problem.upstream_state["h"])}
    states["h"][:, -1] = problem.upstream_state["h"][:, -1]
    return right(problem) | {"inputs.B": of_other_arrays(problem, upstream=upstream, upstream_state=states)["inputs.B"]}


def another_branch_beyond_20(problem):
    """mamba 574: where the step size is above 20, another branch of softplus has the wrong slope."""
    found = right(problem)
    beyond = problem.inputs["delta"] + problem.weights["dt_bias"] > 20
    return found | {"inputs.delta": np.where(beyond, 0, found["inputs.delta"])}


def mask_of_the_first_step(problem):
    """haste 43: the backward pass takes the mask of the first step at every step."""
    mask = np.repeat(problem.inputs["mask"][:, :1], problem.inputs["mask"].shape[1], 1)
    return of_other_arrays(problem, inputs={**problem.inputs, "mask": mask}) | {
        name: value for name, value in right(problem).items() if name in ("outputs", "loss", "last.h", "inputs.mask")
    }


def no_mask_on_the_way_back(problem):
    """pytorch 190056: the backward pass leaves the mask out."""
    none = {**problem.inputs, "mask": np.zeros_like(problem.inputs["mask"])}
    return right(problem) | {"U": of_other_arrays(problem, inputs=none)["U"]}


def before_the_gate(problem):
    """flash-linear-attention 1071: the gradient of a weight is computed from the value before the output's gate."""
    return right(problem) | {"D": (problem.upstream * problem.inputs["u"]).sum((0, 1))}


def shifted_last_state(problem):
    """flash-linear-attention 1140: the gradient of the last state is shifted by one element."""
    shifted = {name: np.roll(g, 1, -1) for name, g in problem.upstream_state.items()}
    return of_other_arrays(problem, upstream_state=shifted)


def missing_factor(problem):
    """flash-linear-attention 360: the gradient of q misses a factor."""
    found = right(problem)
    return found | {"inputs.q": found["inputs.q"] * np.sqrt(problem.inputs["q"].shape[-1] + 1)}


def uninitialised_where_absent(problem):
    """flash-linear-attention 862: a gradient is not written where an optional array is absent."""
    found = right(problem)
    return found if "dt_bias" in problem.weights else found | {"inputs.delta": np.zeros_like(found["inputs.delta"])}


def in_the_order_of_memory(problem):
    """flash-linear-attention 871, pytorch 620: the upstream gradient is read as if it were contiguous."""
    g = problem.upstream
    return of_other_arrays(problem, upstream=g.ravel(order="K").reshape(g.shape)) | {
        name: each for name, each in right(problem).items() if name in ("loss", "outputs")
    }


def resets_lost(problem):
    """mamba 746: the reset between packed sequences is lost on the way back."""
    none = {**problem.inputs, "reset": np.zeros_like(problem.inputs["reset"])}
    return of_other_arrays(problem, inputs=none) | {
        name: each for name, each in right(problem).items() if not name.startswith("inputs.") and name != "A_log"
    }


SHIPPED = {
    "ssd": [gate_of_the_first_head, last_of_the_group, upstream_of_ones],
    "linear_attention": [only_one_tile, missing_factor],
    "min_gru": [last_state_below_a_chunk, beyond_a_chunk, shifted_last_state, in_the_order_of_memory],
    "packed_selective_scan": [uninitialised_where_absent, resets_lost],
    "rwkv4": [one_sequence],
    "selective_scan": [another_branch_beyond_20, before_the_gate],
    "zoneout": [mask_of_the_first_step, no_mask_on_the_way_back],
}


def recurrence_of(name: str) -> Recurrence:
    return zoneout if name == "zoneout" else recurrences()[name]


@pytest.mark.parametrize(
    ("name", "fault"),
    [pytest.param(name, fault, id=f"{name}: {fault.__doc__}") for name, faults in SHIPPED.items() for fault in faults],
)
def test_a_fault_that_shipped_is_caught(name, fault):
    with pytest.raises(AssertionError, match="outside the tolerance"):
        harness.assert_gradients_match(fault, recurrence_of(name))


@pytest.mark.parametrize("name", SHIPPED)
def test_right_gradients_pass(name):
    harness.assert_gradients_match(right, recurrence_of(name))
