"""The plan of a port, and the case that both files run on: known before any framework starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.case import ValidCase
from harness.case.checks import memory_needed
from harness.case.fields import Loss, Sizes
from harness.casefile import listed, nearest
from harness.checkpoint import CheckpointRefused, Recurrent, Stated, contradictions, find
from harness.port.sides import Side, readers, sides

BATCHES, STEPS = (3, 2, 4), (6, 7, 5)
"""The sizes of the case, the first that is no size of the network: equal sizes hide transposes."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A possible port.

    Attributes:
        source: the file.
        target: the file to write.
        layers: the recurrent layers of the source.
        case: the case that both run on.
        original, ported: the two sides.
    """

    source: Path
    target: Path
    layers: Recurrent
    case: ValidCase
    original: Side
    ported: Side


def planned(
    source: Path,
    to: str,
    target: Path,
    layer: str | None = None,
    ignored: Collection[str] = (),
    **stated: Any,
) -> Plan:
    """Return the plan of a port.

    Args:
        source: the file with the weights.
        to: the framework, by ``Side.to``.
        target: the file to write.
        layer: the recurrent layers, if there are several.
        ignored: the names beside the layers that are skipped.
        **stated: the statements about them, as for ``harness.checkpoint.Stated``.

    Raises:
        CheckpointRefused: if it is impossible; nothing was written.
    """
    ported = next(each for each in sides().values() if each.to == to)
    _check_target(target, ported)
    layers = find(source, layer, Stated(**stated), ignored)
    for field, value, why in contradictions(layers.cell, Stated(**stated)):
        option = field.replace("_", "-")
        raise CheckpointRefused(f"has layers that --{option} {value} does not fit: {why}", f"leave --{option} out")
    layers.tensors()  # so that unreadable and infinite weights are found before any framework starts
    case = _case(source, layers, layer, ignored, stated)
    if why_not := ported.why_not(case.structure, case.activation):
        raise CheckpointRefused(f"cannot be ported to {to}: {why_not}")
    _check_memory(case)
    return Plan(source, target, layers, case, readers()[layers.framework or layers.layout], ported)


def _check_target(target: Path, ported: Side) -> None:
    endings = [each for each in ported.endings if each]
    foreign = [each for side in sides().values() for each in side.endings if each and each not in endings]
    if not target.name.endswith(ported.endings) or target.name.endswith(tuple(foreign)):
        hint = nearest(target.suffix, endings) or f"name it {target.name.partition('.')[0]}{endings[0]}"
        raise CheckpointRefused(f"cannot be ported to {target}: files of {ported.to} end in {listed(endings)}", hint)
    for file in (target, *ported.written(target)):
        if file.exists() or file.is_symlink():
            raise CheckpointRefused(f"cannot be ported to {target}: {file} exists already, and is left unchanged")
    if not target.parent.is_dir():
        raise CheckpointRefused(f"cannot be ported to {target}: there is no folder {target.parent}")


def _case(
    source: Path, layers: Recurrent, layer: str | None, ignored: Collection[str], stated: Mapping[str, Any]
) -> ValidCase:
    block = layers.block
    B = next(each for each in BATCHES if each not in (block.input, block.hidden))
    T = next(each for each in STEPS if each not in (block.input, block.hidden))
    weights = {
        "checkpoint": source.name,
        "layout": stated.get("layout"),
        "layer": layer,
        "ignore": list(ignored) or None,
        "forget_bias": stated.get("forget_bias"),
    }
    return ValidCase(
        name=f"port/{source.name}",
        file=str(source),
        about=f"{source.name} and its port: the same outputs, and the same gradients.",
        cell=block.cell,  # type: ignore[arg-type]
        reset=block.reset,  # type: ignore[arg-type]
        activation=layers.cell.activation,  # type: ignore[arg-type]
        layers=layers.layers,
        bidirectional=layers.directions == 2,
        sizes=Sizes(B, T, block.input, block.hidden),
        dtype=layers.dtype,  # type: ignore[arg-type]
        weights={key: value for key, value in weights.items() if value is not None},
        inputs={"normal": 1.0, "seed": 1},
        initial_state={"uniform": (-1.0, 1.0), "seed": 2},
        loss=Loss("dot"),
        upstream={"normal": 1.0, "seed": 3},
    )


def _check_memory(case: ValidCase) -> None:
    import psutil

    needed, there = memory_needed(case), psutil.virtual_memory().total
    if needed > there:
        problem = f"has layers with a proof that needs about {needed / 2**30:,.1f} GiB of memory"
        raise CheckpointRefused(problem, f"this machine has {there / 2**30:.1f} GiB")
