"""The mistakes that are made in gated backward passes, made in ours: the comparison must see each of them."""

import pytest

from reference_impls import gru_concatenated, gru_split, lstm_concatenated, lstm_split

LSTM_SPLIT = {
    "the cell's own path through time is forgotten": ("d_cell *= f[t]", "d_cell *= 0"),
    "the cell's own path is not scaled by the forget gate": ("d_cell *= f[t]", "d_cell *= 1"),
    "the forget gate sees the new cell": ("*= cache.cells[:-1]", "*= cache.cells[1:]"),
    "the forget gate of another step": ("d_cell *= f[t]", "d_cell *= f[t - 1]"),
    "the output gate sees the cell without its tanh": ("3] *= cache.squashed", "3] *= cache.cells[1:]"),
    "no slope of the cell's tanh": ("= phi_slope(cache.squashed)", "= np.ones_like(cache.squashed)"),
    "no slope of the input gate": ("0] *= g", "0] = g"),
    "no slope of the forget gate": ("1] *= cache.cells[:-1]", "1] = cache.cells[:-1]"),
    "the candidate's slope is the gates'": ("(i, phi_slope(g)", "(i, sigma_slope(g)"),
    "the output gate under the cell's gradient": ("delta[t, :, 3] *= d_state", "delta[t, :, 3] *= d_cell"),
    "the candidate under the state's gradient": (
        "delta[t, :, :3] *= d_cell[:, None]",
        "delta[t, :, :3] *= d_state[:, None]",
    ),
    "the state is a step late": ("cache.states[:-1].reshape", "cache.states[1:].reshape"),
}
LSTM_CONCATENATED = {
    "the output gate stands under μ": ("[mu, mu, mu, lam]", "[mu, mu, mu, mu]"),
    "the forget gate of another step": ("mu * f[t + 1]", "mu * f[t]"),
    "the first cell's gradient misses its forget gate": ("of_cell[0] * f[0]", "of_cell[0]"),
    "the last step's cell has no gradient": ("= of_state[T - 1] * output_by_cell[T - 1]", "= 0"),
    "input and forget gate are exchanged": (
        "(g * sigma_slope(i), cache.cells[:T] * sigma_slope(f),",
        "(cache.cells[:T] * sigma_slope(f), g * sigma_slope(i),",
    ),
}
GRU_SPLIT = {
    "the state's own path through time is forgotten": ("d_state *= z[t]", "d_state *= 0"),
    "the state's own path is the candidate's": ("d_state *= z[t]", "d_state *= 1 - z[t]"),
    "the update gate's sign": ("of_z *= before - n", "of_z *= n - before"),
    "the update gate sees the candidate alone": ("of_z *= before - n", "of_z *= -n"),
    "the candidate's share is the state's": ("(1 - z, phi", "(z, phi"),
    "no slope of the reset gate": ("of_r *= cache.under_reset", "of_r[...] = cache.under_reset"),
}
GRU_AFTER = {
    "the recurrent bias has the candidate's gradient": ("recurrent[:, :, 2 * H :].sum", "delta[:, :, 2 * H :].sum"),
    "the reset gate is missing on the way to the state": ("recurrent[t, :, 2 * H :] *= r[t]", "pass"),
    "the reset gate sees the state": ("of_r *= cache.under_reset", "of_r *= before"),
    "the recurrent weights have the input weights' rows": ("beforeT @ recurrent", "beforeT @ delta"),
}
GRU_BEFORE = {
    "the state through the reset is forgotten": (" + d_product * r[t]", ""),
    "the reset state is not reset": ("of_r[t] *= d_product", "of_r[t] *= of_n[t]"),
    "the candidate's weights see the state that was not reset": ("(r * before).reshape", "before.reshape"),
}
GRU_CONCATENATED_AFTER = {
    "the candidate's state rows take the gradient of its input block": ("d_V[I:, 3 * H :]", "d_V[I:, 2 * H : 3 * H]"),
    "the recurrent bias has the candidate's gradient": (
        '"b_hn": d_biases[3 * H :]',
        '"b_hn": d_biases[2 * H : 3 * H]',
    ),
}
GRU_CONCATENATED_BEFORE = {
    "the candidate's rows are not reset": ("w[:, :, I:] *= cache.r", "w[:, :, I:] *= 1"),
    "the reset takes the input rows along": ("w[:, :, I:] *= cache.r", "w[:, :, :H] *= cache.r"),
    "the state through the reset is forgotten": ("of_reset_state * cache.r[t] + ", ""),
}
MISTAKES = [
    pytest.param(module, cell, *change, id=f"{module.__name__.rpartition('.')[2]}, {cell}: {name}")
    for module, cell, changes in (
        (lstm_split, "lstm", LSTM_SPLIT),
        (lstm_concatenated, "lstm", LSTM_CONCATENATED),
        (gru_split, "gru, reset after", GRU_SPLIT | GRU_AFTER),
        (gru_split, "gru, reset before", GRU_SPLIT | GRU_BEFORE),
        (gru_concatenated, "gru, reset after", GRU_CONCATENATED_AFTER),
        (gru_concatenated, "gru, reset before", GRU_CONCATENATED_BEFORE),
    )
    for name, change in changes.items()
]


@pytest.mark.parametrize(("module", "cell", "right", "wrong"), MISTAKES)
def test_a_mistake_in_the_backward_pass_is_seen(net, changed, assert_close, module, cell, right, wrong):
    problem = net("tanh", "dot", cell=cell)

    def layer(of):
        return of.RESETS[cell.rpartition(" ")[2]] if hasattr(of, "RESETS") else of

    expected = problem.complex_step(layer(module))
    mistaken = layer(changed(module, right, wrong))
    assert_close(problem.complex_step(mistaken), expected, 1e-15)  # the mistake is in the backward pass alone
    assert_close(problem.solve(layer(module))[2], expected, 1e-13)
    with pytest.raises(AssertionError, match="instead of"):
        assert_close(problem.solve(mistaken)[2], expected, 1e-6)
