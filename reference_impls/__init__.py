"""Recurrent networks with their gradients, by hand, in NumPy.

The code is a reference: clear first, and fast where that costs no clarity. Each file has the forward pass, its cache
and the backward pass side by side, with the derivation in the head of the file. The code imports only NumPy and does
not depend on the harness, so any file can be lifted out into a lecture.

Dimension letters, used on every line that makes an array:

    B batch    T time    I input    H hidden    O output    L layers    N = number of (sequence, step) pairs in the loss

A file whose layer has other axes declares their letters in its head.

Conventions:
    * Arrays at the border are batch first, (B, T, ...). Inside, a layer works time first, (T, B, ...), because then
      the slice that one step needs is contiguous.
    * Weights stand input-left: a row vector x times W. Hence y = x W + b, dW = xᵀ dy, dx = dy Wᵀ.
    * ``d_x`` is dLoss/dx and has the shape of x.
    * Every function computes in the dtype of its arguments, including longdouble and complex, and returns that dtype.

Read in this order: ``activations``, ``rnn_split``, ``rnn_concatenated``, ``lstm_split``, ``lstm_concatenated``,
``gru_split``, ``gru_concatenated``, ``readout``, ``losses``, ``layer``, ``network``, ``lengths``, ``bidirectional``;
then ``truncation``, and ``derivatives``.

``peephole_lstm``, ``layer_norm_lstm``, ``min_gru``, ``selective_scan``, ``delta_net`` and ``mlstm`` stand alone, one
file each. Their one door is ``gradients(weights, inputs, initial_state, upstream, upstream_state)``: arrays by name,
batch first, in real dtypes. It returns every gradient, the outputs and the last states by name.
"""

import importlib
import os
from contextlib import suppress

OBSERVER = "REFERENCE_IMPLS_OBSERVER"
"""The environment variable that names a module; nothing is observed where it is not set, or the module is not there."""

if OBSERVER in os.environ:
    with suppress(ModuleNotFoundError):
        importlib.import_module(os.environ[OBSERVER])
