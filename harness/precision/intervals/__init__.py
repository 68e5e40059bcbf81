"""The recurrent network and its gradient in ball arithmetic: numbers with proven error bounds.

A ball [m ± r] is a number m held to as many bits as wanted, with a radius r such that the exact value provably lies
within r of m. Every operation encloses all results that its operands allow (Johansson 2017, "Arb: efficient
arbitrary-precision midpoint-radius interval arithmetic"). A problem's numbers are binary floats, so they enter exactly,
and the radii that come out bound everything that rounding did on the way.

The modules import python-flint when they are imported, so only what runs in its process may import them.
"""
