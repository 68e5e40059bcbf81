"""Everything that follows from one step function: the forward pass, gradients by several routes, rounding noise.

No derivative of a step is written by hand. Slopes of elementwise functions come from the complex step, those in balls
from closed forms, and linear operations are transposed. Each route is a module: ``reverse`` and ``forward_mode`` on a
tape, ``complex_step``, and the automatic differentiation of a framework in ``namespaces``, which has that in balls too.
"""
