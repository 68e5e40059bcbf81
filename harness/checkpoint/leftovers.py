"""The tensors of a file beside recurrent layers that belong to none of them.

A plain layer has its matrices and its biases. Other tensors beside them make it another layer: a norm of the gates,
peepholes, a matrix before weight drop, the two factors of a weight norm. The user must name the tensors that take no
part in it, so that they are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from math import prod

from harness.casefile import nearest
from harness.checkpoint.base import CheckpointRefused, Stored
from harness.checkpoint.layers import Stack, called
from harness.checkpoint.naming import namings
from harness.tensors import Shape

MOST_SHOWN = 12


def refuse(
    stack: Stack,
    stored: Mapping[str, Stored],
    others: Mapping[str, str],
    used: Collection[str],
    ignored: Collection[str],
) -> tuple[str, ...]:
    """Refuse tensors beside a stack that the user has not named.

    Args:
        stack: the layers.
        stored: the tensors of the file.
        others: the other files of the checkpoint, which are not read, each with the source of its name.
        used: the tensors of the layers, and those of a readout.
        ignored: the names that the user accepts.

    Returns:
        The names that are skipped, since the user accepts them.

    Raises:
        CheckpointRefused: if another tensor is left over, or if an accepted name does not exist.
    """
    absent = {} if stack.layers[0].said is not None else dict(_missing(stack))
    reasons = (
        dict(_left_over(stack, stored, used))
        | absent
        | {name: f"files of the same checkpoint, named by {source}" for name, source in others.items()}
    )
    accepted = {name for each in ignored for name in ([each] if each in reasons else each.split(","))}
    for name in sorted(accepted - reasons.keys()):
        hint = nearest(name, reasons) or (
            f"beside it there are {_listed(list(reasons))}" if reasons else "leave it out"
        )
        raise CheckpointRefused(f"has no {name!r} to ignore beside {stack.called}", hint, "ignore")
    if missing := [name for name in absent if name not in accepted]:
        problem = f"has no {' and no '.join(missing[:MOST_SHOWN])}"
        problem += f" ({'; '.join(dict.fromkeys(absent[name] for name in missing))})"
        hint = f"save the layer whole; to use zeros instead, accept each name: {_ignoring(missing)}"
        raise CheckpointRefused(problem, hint, "ignore", tuple(missing))
    if left := [name for name in reasons if name not in accepted]:
        what = "; ".join(dict.fromkeys(reasons[name] for name in left if reasons[name])) or ""
        problem = f"has tensors beside {stack.called} that a plain {stack.cell} does not have: {_listed(left)}"
        problem += f" ({what})" if what else ""
        hint = f"if the layer uses none of them, accept each name: {_ignoring(left)}"
        raise CheckpointRefused(problem, hint, "ignore", tuple(left))
    return tuple(name for name in reasons if name in accepted)


def _ignoring(names: list[str]) -> str:
    return f"--ignore {' --ignore '.join(names)}"


def _left_over(stack: Stack, stored: Mapping[str, Stored], used: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the names that are left over, each with its explanation."""
    for name, each in stored.items():
        if name in used:
            continue
        for layer in stack.layers:
            assert layer.block is not None
            own = [next(iter(names.values())) for names in layer.names.values()]
            if layer.said is not None:  # its config lists all layers
                is_beside = name.startswith(tuple(f"{each.rpartition('/')[0]}/" for each in own))
            else:
                is_beside = namings()[layer.layout].beside(name, each.shape, layer.path, layer.block, own[0])
            if (initial := _initial(name, each.shape, stack, layer.path)) or is_beside:
                yield name, INITIAL if initial else ""
                break


def _missing(stack: Stack) -> Iterator[tuple[str, str]]:
    """Yield the biases that a layer lacks and another of the stack has."""
    everything = [names for layer in stack.layers for names in layer.names.values()]
    for role in dict.fromkeys(role for names in everything for role in names):
        has = next(names[role] for names in everything if role in names)
        for names in everything:
            if role not in names:
                yield called(namings()[stack.layers[0].layout], names, role), f"{has} is there"


INITIAL = "an initial state, by shape or name; the port has none, and starts from its input state"
_INITIAL = re.compile(r"(?:^|_)(?:[hc]_?[0x]|[hc]n|init(?:ial)?|start|state|hidden)(?:_|\d|$)", re.IGNORECASE)
"""The names of initial states: ``h0``, ``c_0``, ``hx``, ``init_hidden``, ``initial_state``."""


def _initial(name: str, shape: Shape, stack: Stack, path: str) -> bool:
    """Return whether a tensor is an initial state beside a layer: a parameter of the layer's parent, of its width.

    Args:
        name: the tensor's.
        shape: the tensor's.
        stack: the layers.
        path: of one of them.
    """
    block, directions = stack.layers[0].block, stack.layers[0].directions
    assert block is not None
    *folder, leaf = re.split(r"[./]", name)
    around = re.split(r"[./]", path)[:-1]
    if leaf.isdigit() and folder:  # of a list of parameters, or of Keras' ``vars``
        leaf = folder.pop()
    if folder != around:
        return False
    H, states = block.hidden, len(stack.layers) * directions
    if _INITIAL.search(leaf) is not None:
        return len(shape) > 0 and shape[-1] in (H, directions * H, states * H)
    # Initial states of h, or of h and c, for each layer and direction; one for all the sequences of a batch.
    return 2 <= len(shape) <= 4 and shape[-1] == H and prod(shape[:-1]) in (1, states, 2 * states)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MOST_SHOWN]) + (f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else "")
