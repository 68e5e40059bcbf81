"""Answers in ball arithmetic, intervals with proven error bounds, for any network and any recurrence.

An interval (a ball) [m ± r] is a number m of any precision and a radius r: the exact value provably lies within r of m.
Every operation encloses all results that its operands allow (Johansson 2017, "Arb: efficient arbitrary-precision
midpoint-radius interval arithmetic"). A problem's numbers are binary floats, so they enter exactly, and the radii of
the results bound all rounding errors.

The step of a recurrence, and the runner that makes a network of it, are recorded on a tape of balls
(``harness.derive.namespaces.balls``). A shared step shares its mistakes: these answers prove that its formulas were
computed right, and not the formulas.

The modules import python-flint, so only code that runs in its process may import them.
"""
