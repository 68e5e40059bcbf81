"""``torch@cuda``: torch's modules on a GPU, in cuDNN's kernels, in float32 as it is; with TF32 as a variant.

TF32 rounds the factors of float32's products to 10 bits behind the point, an eps of 2⁻¹⁰ in place of 2⁻²³. cuDNN uses
it by default (pytorch/pytorch#67384). So it is off here, and ``torch@cuda-tf32`` has the tolerance of its own eps.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Literal

from harness.implementations.base import Framework, Returned, Unsupported, implementation
from harness.implementations.torch_module import SUPPORTS, answer
from harness.problem import Problem

NO_GPU = "no GPU: torch.cuda.is_available() is False"
NO_DRIVER = "no GPU: the NVIDIA driver's libcuda finds none"

TF32_EPS = 2.0**-10


@cache
def absent() -> str:
    """Return the reason why the driver has no usable GPU; empty if it has one."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return NO_DRIVER
    count = ctypes.c_int(0)
    found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    return "" if found else NO_DRIVER


CUDA = Framework(
    "torch@cuda",
    ("torch",),
    install="torch",
    environment={"CUBLAS_WORKSPACE_CONFIG": ":4096:8"},  # the same sums each time
    absent=absent,
)


@implementation("torch@cuda", layout="torch", framework=CUDA, supports=SUPPORTS, complete=True)
def torch_cuda(problem: Problem) -> Returned:
    """torch.nn.RNN, nn.LSTM, nn.GRU and nn.Linear on a GPU by cuDNN, without TF32."""
    return on_gpu(problem, "ieee")


@implementation(
    "torch@cuda-tf32",
    layout="torch",
    framework=CUDA,
    supports={**SUPPORTS, "dtype": ("float32",)},
    complete=True,
    only_named=True,
    float32_eps=TF32_EPS,
)
def torch_cuda_tf32(problem: Problem) -> Returned:
    """torch.nn.RNN, nn.LSTM, nn.GRU and nn.Linear on a GPU by cuDNN, with TF32 wherever cuDNN and cuBLAS use it."""
    return on_gpu(problem, "tf32")


def on_gpu(problem: Problem, precision: Literal["ieee", "tf32"]) -> Returned:
    """Compute on the GPU with float32's products in this precision.

    Raises:
        Unsupported: If torch finds no GPU.
    """
    import torch

    if not torch.cuda.is_available():
        raise Unsupported(NO_GPU)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return answer(problem, "cuda")
