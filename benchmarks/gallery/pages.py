"""The pages of the gallery, in Markdown for GitHub and for the site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

import numpy as np

from benchmarks.gallery import recurrences, trainings
from benchmarks.gallery.shown import CASES, Shown, cases, error
from benchmarks.gallery.trainings import ShownTraining
from harness.diagnosis import tensor_faults
from harness.tensors import kind_of

TITLES = {
    "carry": "From step to step",
    "slope": "Derivatives of the activation",
    "sums": "Sums over steps and sequences",
    "ends": "Ends of the chain",
    "upstream": "Gradient of the outputs",
    "loss": "Loss",
    "softmax": "Softmax",
    "truncation": "Truncation",
    "gates": "Gates",
    "lstm": "lstm, backward",
    "gru": "gru, backward",
    "forward": "Forward pass",
    "lstm_forward": "lstm, forward",
    "gru_forward": "gru, forward",
    "forward_alone": "Forward pass alone",
    "directions": "Both directions",
    "padding": "Unequal lengths",
    "tensors": "One tensor",
}
"""The groups in the order of the pages; a group that is not listed comes last."""


def pages(gallery: Sequence[Shown], of_training: Sequence[ShownTraining]) -> dict[str, str]:
    """Return the pages of the gallery, by file name."""
    by_group: dict[str, list[Shown]] = {}
    for each in gallery:
        by_group.setdefault(each.group, []).append(each)
    order = sorted(by_group, key=lambda group: (list(TITLES).index(group) if group in TITLES else len(TITLES), group))
    written = {file_of(group): _page(group, by_group[group]) for group in order}
    index = _index({group: by_group[group] for group in order}, gallery, len(of_training))
    return {
        "index.md": index,
        **written,
        "training.md": _of_training(of_training),
        "recurrences.md": recurrences.page(),
    }


def file_of(group: str) -> str:
    """Return the file name of a group's page."""
    return f"{group.replace('_', '-')}.md"


def title_of(group: str) -> str:
    """Return the title of a group's page."""
    return TITLES.get(group, group.replace("_", " "))


def about(group: str) -> str:
    """Return the first paragraph of a group's module."""
    module = tensor_faults if group == "tensors" else import_module(f"harness.diagnosis.faults.{group}")
    return " ".join((module.__doc__ or "").partition("\n\n")[0].split())


def _page(group: str, shown: Sequence[Shown]) -> str:
    where = "harness/diagnosis/" + ("tensor_faults.py" if group == "tensors" else f"faults/{group}.py")
    head = (
        f"# {title_of(group)}\n\n{about(group)} They are in [`{where}`](../../{where}); "
        "[how to read a picture](index.md#how-to-read-a-picture).\n"
    )
    return "\n".join([head, *(_entry(each) for each in shown)])


def _entry(shown: Shown) -> str:
    facts = [f"- **Here:** {shown.explained}"] if shown.explained else []
    facts.append(f"- **Wrong:** {in_words(shown)}")
    if shown.replaced:
        items = [f"\n    - {each}" for each in shown.replaced] if len(shown.replaced) > 1 else [f" {shown.replaced[0]}"]
        facts.append(f"- **In place of:**{''.join(items)}")
    if shown.cells:
        facts.append(f"- **Cells:** {', '.join(shown.cells)}")
    if shown.hidden_by:
        facts.append(f"- **Not seen with:** {'; '.join(shown.hidden_by)}")
    if shown.declare:
        facts.append(f"- **If it is meant:** the case says `{shown.declare}`")
    facts.append(f"- **Case:** [{shown.case.name}](cases/{shown.case.name}.yaml)")
    text = "\n".join(facts)
    image = f"![{shown.name}: {in_words(shown)}](pictures/{shown.name}.svg)"
    return f"## {shown.name}\n\n{shown.about}\n\n{image}\n\n{text}\n"


def in_words(shown: Shown) -> str:
    """Return the wrong tensors and the right ones, in words."""
    off = [f"{name}{_steps(shown)}" if name == "inputs" else name for name in shown.off]
    right = [name for name in shown.right if name not in shown.off]
    if not right:
        return f"everything; inputs{_steps(shown)}" if _steps(shown) else "everything"
    if len(right) > len(off):
        return f"{', '.join(off)}; all else stays right"
    return f"{', '.join(off)}; {', '.join(right)} {'stay' if len(right) > 1 else 'stays'} right"


def _wrong_steps(shown: Shown) -> list[int]:
    """Return the steps at which the gradient of the inputs is wrong."""
    off = error(shown.wrong["inputs"], shown.right["inputs"]) > 0  # (B, T, I)
    found: list[int] = np.flatnonzero(off.any(axis=(0, 2))).tolist()
    return found


def _steps(shown: Shown) -> str:
    wrong, T = _wrong_steps(shown), shown.case.sizes.time
    if not wrong or len(wrong) == T:
        return ""
    run = wrong == list(range(wrong[0], wrong[-1] + 1))
    steps = f"{wrong[0]} to {wrong[-1]}" if run and len(wrong) > 2 else ", ".join(map(str, wrong))
    return f" ({'step' if len(wrong) == 1 else 'steps'} {steps} of 0 to {T - 1})"


KINDS = ("loss", "outputs", "W_hy", "b_y", "W_xh", "W_hh", "b_h", "b_hn", "h0", "c0", "inputs")
LIKE = {"b_hn": "b_h", "c0": "h0"}
"""Tensors that are not named if a similar one is wrong, so that the cells look alike."""


def signature(shown: Shown) -> str:
    """Return the kinds of the wrong tensors, without their layers, and a remark if the last step is right."""
    off = {kind_of(name) for name in shown.off}
    if off == {kind_of(name) for name in shown.right}:
        return "everything"
    named = [kind for kind in KINDS if kind in off and LIKE.get(kind) not in off]
    last = shown.case.sizes.time - 1
    right_at_last = named[-1] == "inputs" and last not in _wrong_steps(shown)
    return ", ".join(named) + (", right at the last step" if right_at_last else "")


def _of_training(shown: Sequence[ShownTraining]) -> str:
    where = "harness/diagnosis/training_faults.py"
    head = (
        "# Trainings\n\nThe gradients are right, and what a training makes of them is not. "
        f"The faults are in [`{where}`](../../{where}). On the left of a picture is the loss, on the right the norm of "
        "the gradient, before it is limited, at each step: black as it should be, orange as it is.\n"
    )
    return "\n".join([head, *(_entry_of_training(each) for each in shown)])


def _entry_of_training(shown: ShownTraining) -> str:
    facts = [f"- **Here:** {shown.explained}"] if shown.explained else []
    facts.append(f"- **Wrong:** {_parts(shown)}")
    facts.append(f"- **Case:** [{shown.case.name}](cases/{shown.case.name}.yaml)")
    text = "\n".join(facts)
    image = f"![{shown.name}: {_parts(shown)}](pictures/training-{shown.name}.svg)\n\n" if shown.seen else ""
    return f"## {shown.name}\n\n{shown.about}\n\n{image}{text}\n"


def _parts(shown: ShownTraining) -> str:
    """Return the point at which a training departs from the right one, in words."""
    if shown.first_off is None:
        return f"{', '.join(shown.off)} after the last update; every loss is right"
    weights = "the trained weights" if len(shown.off) > 1 else "no trained weight"
    return f"the loss from step {shown.first_off} on, counted from 0, and {weights}"


def _index(by_group: Mapping[str, Sequence[Shown]], gallery: Sequence[Shown], count_of_training: int) -> str:
    groups = [
        f"| [{title_of(group)}]({file_of(group)}) | {len(shown)} | {about(group)} |"
        for group, shown in by_group.items()
    ]
    groups.append(
        f"| [Trainings](training.md) | {count_of_training} | What a training makes of gradients that are right. |"
    )
    groups.append(
        f"| [Any recurrence](recurrences.md) | {len(recurrences.KINDS)} kinds | "
        "A rule of a derived backward pass is broken, in a line of the step. |"
    )
    by_signature: dict[str, list[Shown]] = {}
    for each in gallery:
        by_signature.setdefault(signature(each), []).append(each)
    patterns = [
        f"| {wrong} | {', '.join(_link(each) for each in shown)} |"
        for wrong, shown in sorted(by_signature.items(), key=lambda pair: (pair[0].count(","), pair[0]))
    ]
    of_cases = [f"| [{each.name}](cases/{each.name}.yaml) | {each.about} |" for each in (*cases(), *trainings.cases())]
    return INDEX.format(
        count=len(gallery) + count_of_training,
        cases=CASES,
        groups="\n".join(groups),
        patterns="\n".join(patterns),
        of_cases="\n".join(of_cases),
    )


def _link(shown: Shown) -> str:
    return f"[{shown.name}]({file_of(shown.group)}#{shown.name})"


INDEX = """# The fault gallery

Every fault that a diagnosis can name, committed on a small case: what it is, and what then goes wrong. Each of the
{count} is a class or a function of the [catalogue](../diagnosis.md), its explanation is the class's own, and its
picture is what the class makes of the case. `make gallery` writes these pages; a test holds them to the code.

You have numbers that are wrong and no diagnosis, or one that you do not believe? Look up below
[which tensors are wrong](#which-tensors-are-wrong) in your report, and compare its heatmaps with the pictures.

## How to read a picture

![W_hh, b_h, W_xh, h0 and the inputs are off; the readout is right](pictures/carry-untransposed.svg)

On the left is every tensor, an element a square: white is right, light yellow off by a thousandth of the tensor's
largest element, dark blue by as much as that or more, orange not finite. Weights have their shape, with a line
between the blocks of two gates. The gradient of the inputs, and the outputs, have a sequence in each row and a step in
each column, the first step on the left; the colour is that of the worst element there. On the right is the norm of the
gradient of the inputs along time, black as it should be and orange as it is; where that is right, there is no plot.

What to look for:

- **The outputs or the loss are wrong**: the forward pass is another one, or the loss; its gradients may be right.
- **The last step is right and the error grows to the left**: the fault is in what a step hands to the step before.
- **Every step of the inputs is wrong, the last one too**: the fault is before the recursion, in the loss or the
  readout, or it is in a derivative.
- **One weight alone**: the fault is in the sum that makes its gradient, or in what was done to it afterwards.
- **Some columns alone**: the fault is in one gate.

A report's page shows this entry beside each fault that it names, and the heatmaps of a wrong answer: blue elements are
within the tolerance, orange ones are outside, and a darker one has a larger error.

## Groups

| group | faults | |
| --- | --- | --- |
{groups}

## Which tensors are wrong

Of any layer; what is not named stays right. A fault stands where it is on the case that it is shown on: on another
case, or with another parameter, more or less may be wrong.

| wrong | faults |
| --- | --- |
{patterns}

## Cases

They are below `{cases}`, and run like any other: `harness check my_rnn.py {cases}/rnn.yaml`.

| case | about |
| --- | --- |
{of_cases}

```{{toctree}}
:hidden:
:glob:

*
```
"""
