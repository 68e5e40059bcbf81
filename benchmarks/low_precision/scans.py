"""Right answers of parallel kernels in torch: scans by doubling, by chunks, and chunks of products.

Blelloch 1990, "Prefix sums and their applications"; Hillis and Steele 1986, "Data parallel algorithms"; Yang, Wang,
Zhang, Shen and Kim 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length", for the chunks
of DeltaNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from harness.torch import TorchFunction

Tensors = Mapping[str, torch.Tensor]
CHUNK = 4


def doubled(a: torch.Tensor, b: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Return every state of h = a h₋ + b by doubling: log₂ T rounds over all steps. a and b are (B, T, …)."""
    b = torch.cat([b[:, :1] + a[:, :1] * h[:, None], b[:, 1:]], 1)
    n = 1
    while n < a.shape[1]:
        b = torch.cat([b[:, :n], b[:, n:] + a[:, n:] * b[:, :-n]], 1)
        a = torch.cat([a[:, :n], a[:, n:] * a[:, :-n]], 1)
        n *= 2
    return b


def chunked(a: torch.Tensor, b: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
    """Return the same by chunks, each by doubling from the state before it."""
    found = []
    for n in range(0, a.shape[1], CHUNK):
        found.append(doubled(a[:, n : n + CHUNK], b[:, n : n + CHUNK], h))
        h = found[-1][:, -1]
    return torch.cat(found, 1)


def min_gru(scan: Any, *, wide: bool) -> TorchFunction:
    """Return a minGRU by a scan, in float32 inside if ``wide``."""

    def run(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
        x, h, dtype = inputs["x"], state["h"], inputs["x"].dtype
        gate = x @ weights["W_z"] + weights["b_z"]  # (B, T, H)
        v = x @ weights["W_h"] + weights["b_h"]  # (B, T, H)
        if wide:
            gate, v, h = gate.float(), v.float(), h.float()
        z = torch.sigmoid(gate)
        candidate = torch.where(v >= 0, v + 0.5, torch.sigmoid(v))
        outputs = scan(1 - z, z * candidate, h).to(dtype)
        return outputs, {"h": outputs[:, -1]}

    return run


def selective_scan(scan: Any, *, wide: bool) -> TorchFunction:
    """Return Mamba's scan of all steps at once."""

    def run(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
        dtype = inputs["u"].dtype
        w, x, s = (
            {name: each.float() if wide else each for name, each in given.items()} for given in (weights, inputs, state)
        )
        before = x["delta"] + w["dt_bias"]  # (B, T, E)
        dt = torch.logaddexp(before, torch.zeros_like(before))
        decay = torch.exp(dt[..., None] * -torch.exp(w["A_log"]))  # (B, T, E, N)
        h = scan(decay, (dt * x["u"])[..., None] * x["B"][:, :, None, :], s["h"])  # (B, T, E, N)
        y = torch.einsum("bten,btn->bte", h, x["C"]) + w["D"] * x["u"]
        return (y * torch.nn.functional.silu(x["z"])).to(dtype), {"h": h[:, -1].to(dtype)}

    return run


def ssd(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
    """Run Mamba-2 by chunks of products, in float32 inside."""
    dtype = inputs["x"].dtype
    w, x, s = ({name: each.float() for name, each in given.items()} for given in (weights, inputs, state))
    before = x["dt"] + w["dt_bias"]
    dt = torch.logaddexp(before, torch.zeros_like(before))  # (B, T, H)
    log_a, added, h = -dt * torch.exp(w["A_log"]), dt[..., None] * x["x"], s["h"]  # (B, T, H), (B, T, H, P)
    found = []
    for n in range(0, dt.shape[1], CHUNK):
        at = slice(n, n + CHUNK)
        sums = log_a[:, at].cumsum(1)  # (B, C, H)
        between = sums[:, :, None] - sums[:, None]  # (B, C, C, H): of step s to step t
        mask = torch.ones(between.shape[1:3], dtype=torch.bool).tril()[None, :, :, None]
        decay = torch.exp(between.masked_fill(~mask, -torch.inf))
        scores = torch.einsum("btn,bsn->bts", x["C"][:, at], x["B"][:, at])
        y = torch.einsum("bts,btsh,bshp->bthp", scores, decay, added[:, at])
        found.append(y + torch.einsum("bth,btn,bhpn->bthp", torch.exp(sums), x["C"][:, at], h))
        left = torch.exp(sums[:, -1:] - sums)  # (B, C, H)
        grown = torch.einsum("bsh,bshp,bsn->bhpn", left, added[:, at], x["B"][:, at])
        h = torch.exp(sums[:, -1])[..., None, None] * h + grown
    outputs = torch.cat(found, 1) + w["D"][:, None] * x["x"]
    return outputs.to(dtype), {"h": h.to(dtype)}


def linear_attention(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
    """Run linear attention by chunks of products in the inputs' dtype, with states in float32."""
    del weights
    dtype = inputs["q"].dtype
    q, k = (torch.where(v > 0, v + 1, torch.exp(v.clamp(max=0))) for v in (inputs["q"], inputs["k"]))
    S, z, found = state["S"].float(), state["z"].float(), []
    for n in range(0, q.shape[1], CHUNK):
        at = slice(n, n + CHUNK)
        scores = torch.einsum("bthk,bshk->bhts", q[:, at], k[:, at]).tril()
        y = torch.einsum("bhts,bshv->bthv", scores, inputs["v"][:, at]).float()
        y = y + torch.einsum("bthk,bhkv->bthv", q[:, at], S.to(dtype)).float()
        sums = z[:, None] + k[:, at].float().cumsum(1)  # (B, C, H, K)
        weight = (q[:, at].float() * sums).sum(-1, keepdim=True) + 1e-6
        found.append((y / weight).to(dtype))
        S = S + torch.einsum("bshk,bshv->bhkv", k[:, at], inputs["v"][:, at]).float()
        z = sums[:, -1]
    return torch.cat(found, 1), {"S": S.to(dtype), "z": z.to(dtype)}


def delta_net(weights: Tensors, inputs: Tensors, state: Tensors) -> Any:
    """Run DeltaNet by chunks, each solved as a triangular system, in float32 inside."""
    del weights
    dtype = inputs["q"].dtype
    q, k = (v / torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6) for v in (inputs["q"].float(), inputs["k"].float()))
    v, beta, S, found = inputs["v"].float(), torch.sigmoid(inputs["beta"].float()), state["S"].float(), []
    for n in range(0, q.shape[1], CHUNK):
        at = slice(n, n + CHUNK)
        of_keys = torch.einsum("bthk,bshk->bhts", k[:, at], k[:, at]) * beta[:, at].transpose(1, 2)[..., None]
        system = torch.eye(of_keys.shape[-1]) + of_keys.tril(-1)  # (B, H, C, C)
        wanted = v[:, at] - torch.einsum("bthk,bhkv->bthv", k[:, at], S)  # (B, C, H, V)
        wanted = (beta[:, at, :, None] * wanted).transpose(1, 2)  # (B, H, C, V)
        new = torch.linalg.solve_triangular(system, wanted, upper=False, unitriangular=True)
        scores = torch.einsum("bthk,bshk->bhts", q[:, at], k[:, at]).tril()
        y = torch.einsum("bthk,bhkv->bthv", q[:, at], S) + (scores @ new).transpose(1, 2)
        found.append(y.to(dtype))
        S = S + torch.einsum("bshk,bhsv->bhkv", k[:, at], new)
    return torch.cat(found, 1), {"S": S.to(dtype)}


SCANS: Mapping[str, Mapping[str, TorchFunction]] = {
    "min_gru": {
        "scan by doubling": min_gru(doubled, wide=False),
        "scan by doubling, float32 inside": min_gru(doubled, wide=True),
        "scan by chunks, float32 inside": min_gru(chunked, wide=True),
    },
    "selective_scan": {
        "scan by doubling": selective_scan(doubled, wide=False),
        "scan by chunks, float32 inside": selective_scan(chunked, wide=True),
    },
    "ssd": {"chunks of products, float32 inside": ssd},
    "linear_attention": {"chunks of products": linear_attention},
    "delta_net": {"chunks of products, float32 inside": delta_net},
}
"""The parallel forms by recurrence and name."""
