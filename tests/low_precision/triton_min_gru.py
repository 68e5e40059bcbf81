"""A minGRU scan in Triton, forward and backward, as a kernel that the check is for.

    z = σ(a),   h̃ = g(v),   h = (1 − z) h₋ + z h̃,        g(v) = v + 1/2 where v ≥ 0, σ(v) elsewhere

One program runs all steps of some units of one sequence, in float32; every array is stored in the dtype of a. On the
way back, with δ the gradient by h:

    δa = δ (h̃ − h₋) z (1 − z),   δv = δ z g′(v),   δ₋ = δ (1 − z) + upstream

The products x W are torch's. Triton needs a GPU, or TRITON_INTERPRET=1, which runs the kernels in NumPy.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

BLOCK = 32
"""Number of units of a program."""


@triton.jit
def forward_kernel(a_ptr, v_ptr, h0_ptr, h_ptr, T, H, BLOCK: tl.constexpr):
    """Run the scan of some units of a sequence."""
    b, units = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = units < H
    h = tl.load(h0_ptr + b * H + units, mask=there, other=0.0).to(tl.float32)
    for t in range(T):
        at = (b * T + t) * H + units
        z = tl.sigmoid(tl.load(a_ptr + at, mask=there, other=0.0).to(tl.float32))
        v = tl.load(v_ptr + at, mask=there, other=0.0).to(tl.float32)
        h = (1 - z) * h + z * tl.where(v >= 0, v + 0.5, tl.sigmoid(v))
        tl.store(h_ptr + at, h.to(h_ptr.dtype.element_ty), mask=there)


@triton.jit
def backward_kernel(a_ptr, v_ptr, h0_ptr, h_ptr, g_ptr, da_ptr, dv_ptr, dh0_ptr, T, H, BLOCK: tl.constexpr):
    """Run the scan of the gradient, from the last step to the first."""
    b, units = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = units < H
    delta = tl.zeros([BLOCK], tl.float32)
    for step in range(T):
        t = T - 1 - step
        at = (b * T + t) * H + units
        before = tl.load(h0_ptr + b * H + units, mask=there, other=0.0).to(tl.float32)
        if t > 0:
            before = tl.load(h_ptr + at - H, mask=there, other=0.0).to(tl.float32)
        z = tl.sigmoid(tl.load(a_ptr + at, mask=there, other=0.0).to(tl.float32))
        v = tl.load(v_ptr + at, mask=there, other=0.0).to(tl.float32)
        s = tl.sigmoid(v)
        delta += tl.load(g_ptr + at, mask=there, other=0.0).to(tl.float32)
        da = delta * (tl.where(v >= 0, v + 0.5, s) - before) * z * (1 - z)
        dv = delta * z * tl.where(v >= 0, 1.0, s * (1 - s))
        tl.store(da_ptr + at, da.to(da_ptr.dtype.element_ty), mask=there)
        tl.store(dv_ptr + at, dv.to(dv_ptr.dtype.element_ty), mask=there)
        delta = delta * (1 - z)
    tl.store(dh0_ptr + b * H + units, delta.to(dh0_ptr.dtype.element_ty), mask=there)


class MinGRUScan(torch.autograd.Function):
    """All states (B, T, H) of pre-activations a and v, (B, T, H), and a first state h0, (B, H)."""

    @staticmethod
    def forward(ctx: Any, a: torch.Tensor, v: torch.Tensor, h0: torch.Tensor) -> torch.Tensor:
        """Return the states."""
        a, v, h0 = a.contiguous(), v.contiguous(), h0.contiguous()
        B, T, H = a.shape
        h = torch.empty_like(a)
        forward_kernel[B, triton.cdiv(H, BLOCK)](a, v, h0, h, T, H, BLOCK=BLOCK)
        ctx.save_for_backward(a, v, h0, h)
        return h

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the gradients by a, v and h0."""
        a, v, h0, h = ctx.saved_tensors
        B, T, H = a.shape
        da, dv, dh0 = torch.empty_like(a), torch.empty_like(v), torch.empty_like(h0)
        grid = B, triton.cdiv(H, BLOCK)
        backward_kernel[grid](a, v, h0, h, g.contiguous(), da, dv, dh0, T, H, BLOCK=BLOCK)
        return da, dv, dh0


def min_gru(weights: Any, inputs: Any, state: Any, scan: Any = MinGRUScan.apply) -> Any:
    """Run a minGRU by the names of the recurrence ``min_gru``."""
    x = inputs["x"]  # (B, T, I)
    h = scan(x @ weights["W_z"] + weights["b_z"], x @ weights["W_h"] + weights["b_h"], state["h"])  # (B, T, H)
    return h, {"h": h[:, -1]}
