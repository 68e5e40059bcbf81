"""The tensors of a file that stand beside recurrent layers and are none of theirs.

A plain layer has its matrices and its biases. With more beside them it is another: a norm of the gates, peepholes, a
matrix before weight drop, the two factors of a weight norm. What takes no part in it must be named to be passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from harness.casefile import nearest
from harness.checkpoint.base import CheckpointRefused, Stored
from harness.checkpoint.layers import Stack
from harness.checkpoint.naming import namings

MOST_TOLD = 12


def refuse(
    stack: Stack,
    stored: Mapping[str, Stored],
    others: Mapping[str, str],
    used: Collection[str],
    ignored: Collection[str],
) -> tuple[str, ...]:
    """Make sure that nothing beside a stack is passed over in silence.

    Args:
        stack: the layers.
        stored: the tensors of the file.
        others: the other files of the checkpoint, which are not read, each with where that is said.
        used: the tensors that are theirs, and those of a readout.
        ignored: the names that the user accepts.

    Returns:
        The names that are passed over, since the user accepts them.

    Raises:
        CheckpointRefused: if something else is left over, or nothing has a name that is accepted.
    """
    reasons = dict(_left_over(stack, stored, used)) | {
        name: f"files of the same checkpoint, as {source} says" for name, source in others.items()
    }
    accepted = {name for each in ignored for name in ([each] if each in reasons else each.split(","))}
    for name in sorted(accepted - reasons.keys()):
        hint = nearest(name, reasons) or (f"beside it there are {_told(list(reasons))}" if reasons else "leave it out")
        raise CheckpointRefused(f"has nothing called {name!r} to be ignored beside {stack.called}", hint, "ignore")
    if left := [name for name in reasons if name not in accepted]:
        what = "; ".join(dict.fromkeys(reasons[name] for name in left if reasons[name])) or ""
        problem = f"has beside {stack.called} what a plain {stack.cell} has not: {_told(left)}"
        problem += f" ({what})" if what else ""
        raise CheckpointRefused(problem, accepting(f"--ignore {' --ignore '.join(left)}"), "ignore", tuple(left))
    return tuple(name for name in reasons if name in accepted)


def accepting(how: str) -> str:
    """Return the hint to a refusal of what is left over."""
    return f"if none of it takes part in what the layer computes, accept each name: {how}"


def _left_over(stack: Stack, stored: Mapping[str, Stored], used: Collection[str]) -> Iterator[tuple[str, str]]:
    """Find the names that are left over, each with what is to be said of it."""
    for name, each in stored.items():
        if name in used:
            continue
        for layer in stack.layers:
            assert layer.block is not None
            own = [next(iter(names.values())) for names in layer.names.values()]
            if layer.said is not None:  # its config says which layers there are, and Keras has no others
                is_beside = name.startswith(tuple(f"{each.rpartition('/')[0]}/" for each in own))
            else:
                is_beside = namings()[layer.layout].beside(name, each.shape, layer.path, layer.block, own[0])
            if is_beside:
                yield name, ""
                break
    if stack.layers[0].said is None:
        yield from _missing(stack)


def _missing(stack: Stack) -> Iterator[tuple[str, str]]:
    """Find the tensors that a layer has not and another of the stack has: its biases."""
    everything = [names for layer in stack.layers for names in layer.names.values()]
    for role in dict.fromkeys(role for names in everything for role in names):
        has = next(names[role] for names in everything if role in names)
        for names in everything:
            if role not in names:
                yield _named_like(names, role, has), f"{has} is there, and the same of another layer is not"


def _named_like(names: Mapping[str, str], role: str, example: str) -> str:
    """Return how a layer's tensor would be called that is not there, by those that are."""
    for own, name in names.items():
        if own in name:
            before, _, behind = name.rpartition(own)
            return f"{before}{role}{behind}"
    return f"{next(iter(names.values())).rpartition('/')[0]}/{example.rpartition('/')[2]}"


def _told(names: list[str]) -> str:
    return ", ".join(names[:MOST_TOLD]) + (f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else "")
