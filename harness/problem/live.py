"""Tensors that take part in an autograd, handed to ``problem.loss``: those of torch, by their methods alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray


def is_live(outputs: Any) -> bool:
    """Return whether outputs are a tensor of torch that requires a gradient."""
    return bool(getattr(outputs, "requires_grad", False)) and hasattr(outputs, "new_tensor")


def numbers_of(outputs: Any) -> ndarray:
    """Return the numbers of outputs, which may be an array, a list or a tensor.

    Raises:
        TypeError: If there are none, as while JAX or TensorFlow traces a function.
    """
    if isinstance(outputs, np.ndarray):
        return outputs
    try:
        if hasattr(outputs, "detach") and hasattr(outputs, "cpu"):
            there = outputs.detach().cpu()
            # NumPy has no bfloat16.
            return np.asarray((there.float() if str(there.dtype) == "torch.bfloat16" else there).numpy())
        return np.asarray(outputs)
    except Exception as error:  # a foreign object may raise anything when it gives its numbers
        reason = str(error).strip().partition("\n")[0]
        raise TypeError(
            f"problem.loss computes in NumPy and cannot read the numbers of a {type(outputs).__name__}: {reason}; call "
            "it outside of code that is traced or compiled"
        ) from None


def joined(outputs: Any, loss: ndarray, d_outputs: ndarray) -> tuple[Any, Any]:
    """Return a loss and its gradient as tensors like ``outputs``; the loss's own ``backward`` gives that gradient.

    Args:
        outputs: A live tensor, (B, T, O).
        loss: The loss of its numbers, ().
        d_outputs: The gradient of that loss by the outputs, (B, T, O).
    """
    gradient = outputs.new_tensor(d_outputs)  # (B, T, O)
    nothing = ((outputs - outputs.detach()) * gradient).sum()  # (): zero, with this gradient
    return outputs.new_tensor(loss) + nothing, gradient
