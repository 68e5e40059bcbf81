"""The reason why a returned tensor does not belong to its layout: a wrong name or shape, with the nearest right one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from harness.casefile import nearest
from harness.layout import layouts, layouts_of
from harness.tensors import Shape, Structure, shapes


def why_not(
    name: str,
    shape: Shape,
    layout: str,
    structure: Structure,
    returned: Collection[str],
    reading: str = "this implementation has",
) -> str:
    """Return the reason why a tensor cannot be read in a layout.

    Args:
        name: The name as it was returned.
        shape: The shape as it was returned.
        layout: The layout that it is read in.
        structure: The network.
        returned: The names of everything that was returned.
        reading: The words that come before "the layout 'split'" and name its source.

    Returns:
        One line; empty if name and shape are right.
    """
    expected = {
        "loss": (),
        "outputs": structure.outputs,
        **structure.last_state,
        **layouts()[layout].shapes(structure),
        **structure.given,
    }
    if name in expected:
        return "" if shape == expected[name] else shapes.mistake(shape, expected[name])
    if name in structure.held:
        return f"returned {name!r}, but {name.removeprefix('inputs.')} is held fixed and has no gradient; leave it out"
    missing = {each: size for each, size in expected.items() if each not in returned}
    hint = "" if fitting_layouts({name: shape}, structure) else nearest_tensor(name, missing)
    if hint:
        wrong = f"; its shape is {shape}, but should be {missing[hint]}" if shape != missing[hint] else ""
        return f"returned {name!r}, which is no tensor of this case; did you mean {hint}?{wrong}"
    for other, its in layouts_of(structure).items():
        if name in its.shapes(structure):
            return (
                f"returned {name!r}, a name of the layout {other!r}; {reading} the layout {layout!r}, "
                f"whose tensors are {', '.join(layouts()[layout].shapes(structure))}"
            )
    return f"returned {name!r}, which is no tensor of this case; there are {', '.join(expected)}"


def fitting_layouts(tensors: Mapping[str, Shape], structure: Structure) -> list[str]:
    """Return the layouts that contain all of these tensors with these shapes."""
    there = layouts_of(structure)
    return [name for name, layout in there.items() if tensors.items() <= dict(layout.shapes(structure)).items()]


def nearest_tensor(name: str, expected: Mapping[str, Shape]) -> str:
    """Return the tensor that a name most likely means: ``layer0.W_xh`` for layer0.W_hx, dW_xh or Wxh; empty if none."""
    wanted = _bare(name)
    for key in (_bare, lambda each: _bare(each.rpartition(".")[2])):
        alike = [each for each in expected if key(each) == wanted]
        if len(alike) == 1:
            return alike[0]
    hint = re.fullmatch(r"did you mean '(.*)'\?", nearest(name, expected))
    return hint[1] if hint else ""


def _bare(name: str) -> str:
    """Return a name in lower case, without punctuation and without the d or grad in front of a gradient."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^(d|grad|dl_?d|d_?loss_?d)_?(?=[a-z])", "", name.lower()))
