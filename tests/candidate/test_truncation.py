"""A check reports a truncation that differs from the case's, with the line that declares it."""

import pytest

from .conftest import CASE

DETACHED = """\
        @harness.implementation("mine")
        def mine(problem):
            W_xh, W_hh, b_h = (problem.weights[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
            x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
            for t in range(x.shape[1]):
                h.append(np.tanh(x[:, t] @ W_xh + h[-1] @ W_hh + b_h))
            _, d_outputs = problem.loss(np.stack(h[1:], axis=1))
            d_W_hh, d_h = np.zeros_like(W_hh), np.zeros_like(h[0])
            for t in reversed(range(x.shape[1])):
                d_a = (d_outputs[:, t] + d_h) * (1 - h[t + 1] ** 2)
                d_W_hh += h[t].T @ d_a
                d_h = d_a @ W_hh.T * (t % 3 != 0)
            return {"layer0.W_hh": d_W_hh}
        """
WINDOW = """\
        @harness.implementation("mine")
        def mine(problem):
            W_xh, W_hh, b_h = (problem.weights[f"layer0.{name}"] for name in ("W_xh", "W_hh", "b_h"))
            x, h = problem.inputs, [problem.initial_state["layer0.h0"]]
            for t in range(x.shape[1]):
                h.append(np.tanh(x[:, t] @ W_xh + h[-1] @ W_hh + b_h))
            _, d_outputs = problem.loss(np.stack(h[1:], axis=1))
            d_W_hh = np.zeros_like(W_hh)
            for step in range(x.shape[1]):
                d_h = d_outputs[:, step]
                for t in range(step, max(step - 2, 0) - 1, -1):
                    d_a = d_h * (1 - h[t + 1] ** 2)
                    d_W_hh += h[t].T @ d_a
                    d_h = d_a @ W_hh.T
            return {"layer0.W_hh": d_W_hh}
        """
WHOLE = """\
        @harness.implementation("mine")
        def mine(problem):
            return right(problem)
        """
COMPUTED = {
    "none": WHOLE,
    "{kind: detach, every: 3}": DETACHED,
    "{kind: window, steps: 2}": WINDOW,
}


@pytest.mark.parametrize("computed", COMPUTED)
@pytest.mark.parametrize("declared", COMPUTED)
def test_what_is_computed_is_what_to_declare(check, workplace, computed, declared):
    (workplace / "cases" / "small.yaml").write_text(f"{CASE.replace('time: 4', 'time: 8')}truncation: {declared}\n")
    done = check(COMPUTED[computed])
    line = f"If this is intended, declare it in the case: truncation: {computed}\n"
    assert done.status == (computed != declared), done.out + done.err
    assert (line in done.out) == (computed != declared), done.out
