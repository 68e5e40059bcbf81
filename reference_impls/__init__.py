"""Recurrent networks with their gradients, by hand, in NumPy.

The code is a reference: clear first, and fast where that costs no clarity. Each file has the forward pass, its cache
and the backward pass side by side, with the derivation in the head of the file. The code imports only NumPy and does
not depend on the harness, so any file can be lifted out into a lecture.

Dimension letters, used on every line that makes an array:

    B batch    T time    I input    H hidden    O output    L layers    N = number of (sequence, step) pairs in the loss

Conventions:
    * Arrays at the border are batch first, (B, T, ...). Inside, a layer works time first, (T, B, ...), because then
      the slice that one step needs is contiguous.
    * Weights stand input-left: a row vector x times W. Hence y = x W + b, dW = xᵀ dy, dx = dy Wᵀ.
    * ``d_x`` is dLoss/dx and has the shape of x.
    * Every function computes in the dtype of its arguments, including longdouble and complex, and returns that dtype.

Read in this order: ``activations``, ``rnn_split``, ``rnn_concatenated``, ``lstm_split``, ``lstm_concatenated``,
``gru_split``, ``gru_concatenated``, ``readout``, ``losses``, ``layer``, ``network``, ``lengths``, ``bidirectional``;
then ``truncation``, and ``derivatives``, ``complex_step``, ``complex_step_gated``.
"""
