"""Gated cells against torch's modules and autograd: that gate orders and conventions are the ones that others use."""

import numpy as np
import pytest

from reference_impls import network


@pytest.mark.framework
@pytest.mark.parametrize("cell", ["lstm", "gru, reset after"])
@pytest.mark.parametrize("form", ["split", "concatenated"])
def test_outputs_and_gradients_are_those_of_torch(net, assert_close, gated_forms, cell, form, layers):
    torch = pytest.importorskip("torch")
    problem = net("tanh", "dot", layers=layers, cell=cell)
    module = (torch.nn.LSTM if cell == "lstm" else torch.nn.GRU)(4, 3, layers, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for n in range(layers):
            W_xh, W_hh, b_h = (problem.weights[f"layer{n}.{name}"] for name in ("W_xh", "W_hh", "b_h"))
            b_hh = np.zeros_like(b_h)
            if cell != "lstm":
                b_hh[6:] = problem.weights[f"layer{n}.b_hn"]
            for kind, array in {"weight_ih": W_xh.T, "weight_hh": W_hh.T, "bias_ih": b_h, "bias_hh": b_hh}.items():
                getattr(module, f"{kind}_l{n}").copy_(torch.tensor(array.copy()))
    x = torch.tensor(problem.inputs, requires_grad=True)
    names = ("h0", "c0") if cell == "lstm" else ("h0",)
    states = [
        torch.tensor(np.stack([problem.initial_state[f"layer{n}.{name}"] for n in range(layers)]), requires_grad=True)
        for name in names
    ]
    y, _ = module(x, tuple(states) if cell == "lstm" else states[0])
    (y * torch.tensor(problem.targets)).sum().backward()

    expected = {"outputs": y.detach().numpy(), "inputs": x.grad.numpy()}
    for n in range(layers):
        of = {kind: getattr(module, f"{kind}_l{n}").grad.numpy() for kind in ("weight_ih", "weight_hh", "bias_ih")}
        expected[f"layer{n}.W_xh"], expected[f"layer{n}.W_hh"] = of["weight_ih"].T, of["weight_hh"].T
        expected[f"layer{n}.b_h"] = of["bias_ih"]
        if cell != "lstm":
            expected[f"layer{n}.b_hn"] = getattr(module, f"bias_hh_l{n}").grad.numpy()[6:]
        for name, state in zip(names, states, strict=True):
            expected[f"layer{n}.{name}"] = state.grad.numpy()[n]
    _, outputs, gradients = problem.solve(gated_forms[cell][form])
    assert_close({"outputs": outputs, **gradients}, expected, 1e-13)


@pytest.mark.framework
def test_reset_before_is_that_of_torch_operations(net, assert_close, gated_forms):
    """torch has no module for it: unrolled by hand, gradients by autograd."""
    torch = pytest.importorskip("torch")
    problem = net("tanh", "dot", cell="gru, reset before")
    given = {name: torch.tensor(array, requires_grad=True) for name, array in problem.given.items()}
    W_xr, W_xz, W_xn = given["layer0.W_xh"].chunk(3, dim=1)
    W_hr, W_hz, W_hn = given["layer0.W_hh"].chunk(3, dim=1)
    b_r, b_z, b_n = given["layer0.b_h"].chunk(3)
    h, outputs = given["layer0.h0"], []
    for x in given["inputs"].unbind(1):
        r = torch.sigmoid(x @ W_xr + h @ W_hr + b_r)
        z = torch.sigmoid(x @ W_xz + h @ W_hz + b_z)
        n = torch.tanh(x @ W_xn + (r * h) @ W_hn + b_n)
        h = (1 - z) * n + z * h
        outputs.append(h)
    (torch.stack(outputs, 1) * torch.tensor(problem.targets)).sum().backward()
    expected = {name: tensor.grad.numpy() for name, tensor in given.items()}
    for layer in gated_forms["gru, reset before"].values():
        assert_close(problem.solve(layer)[2], expected, 1e-13)
        np.testing.assert_allclose(
            network.forward(*problem.arguments(layer)).outputs,
            torch.stack(outputs, 1).detach().numpy(),
            rtol=0,
            atol=1e-14,
        )
