"""The constant factors of wrong gradients, with their likely names."""

from __future__ import annotations

from harness.problem import Problem


def factors(problem: Problem) -> dict[str, float]:
    """Return the factors that have a name on a problem, by that name, the likeliest first; no two are the same
    number.
    """
    B, T, O = problem.structure.outputs
    sizes, rows = problem.case.sizes, int(problem.covered.sum())
    width = "O" if problem.case.readout == "linear" else "H"
    counts: dict[str, float] = {
        "B": B,
        "T": T,
        "B·T": B * T,
        "(number of steps with a loss)": len(problem.case.steps),
        "(number of rows with a loss)": rows,
        width: O,
        "(number of terms of the loss)": rows * O,
        "I": sizes.input,
        "L": problem.case.layers,
        f"T·{width}": T * O,
        f"B·{width}": B * O,
    }
    named = {"−1 times": -1.0, "2 times": 2.0, "½ times": 0.5}
    for name, count in counts.items():
        named[f"1/({name}) = 1/{count} times" if "·" in name else f"1/{name} = 1/{count} times"] = 1 / count
    for name, count in counts.items():
        named[f"{name} = {count} times"] = float(count)
    if problem.case.loss.reduction == "mean":  # another divisor than the case's
        named |= {f"rows/{name} = {rows}/{count} times": rows / count for name, count in (("T", T), ("B", B))}
    named |= {"4 times": 4.0, "¼ times": 0.25, "−2 times": -2.0, "−½ times": -0.5}
    found: dict[str, float] = {}
    for name, factor in named.items():
        if factor != 1 and factor not in found.values():
            found[name] = factor
    return found
