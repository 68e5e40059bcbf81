"""The recurrent layers of a Keras file, by its config. The config is read; no object is made from it.

The file of a whole model, saved by Keras 3 or by Keras 2 (tf_keras), has the config of each layer: its cell, the layer
that it reads, and the places of its tensors in the file. So nothing is assumed, and a layer that the harness cannot
represent is refused with the field that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.checkpoint.base import CheckpointRefused, Stored
from harness.checkpoint.layers import Said, StoredLayer
from harness.checkpoint.naming import Block, namings
from harness.checkpoint.safe import operation_of, refuse_code

CELLS = {
    "SimpleRNN": "rnn", "LSTM": "lstm", "GRU": "gru",
    "SimpleRNNCell": "rnn", "LSTMCell": "lstm", "GRUCell": "gru",
}  # fmt: skip
LIKE_THEM = re.compile(r"RNN|LSTM|GRU|Recurrent")
"""Classes of recurrent layers, some of which the harness does not have."""

MODELS = ("Sequential", "Functional", "Model")
DROPOUT = ("Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization")
"""Layers that return their inputs, at inference."""

RNN_ACTIVATIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "linear": "identity"}
DTYPES = ("float32", "float64")
DEEPEST = 32
"""Maximum depth of models within models."""

Config = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Model:
    """The content of a whole model's config.

    Attributes:
        framework: ``keras``, for Keras 3, or ``tf_keras``, for Keras 2.
        layers: its recurrent layers.
        operations: the operations on tensors outside of its layers, each with its class or function.
    """

    framework: str
    layers: tuple[StoredLayer, ...]
    operations: tuple[str, ...]


def model_of(config: Any, version: str, tensors: Mapping[str, Stored], whole_h5: bool) -> Model:
    """Return the model of a config.

    Args:
        config: of the whole model.
        version: of the Keras that wrote it.
        tensors: those of the file.
        whole_h5: whether the file is an ``.h5``, with groups named after layers instead of their classes.

    Raises:
        CheckpointRefused: if Keras would run code of the file's, or if the config is damaged.
    """
    refuse_code(config)
    if not isinstance(config, dict) or config.get("class_name") not in MODELS:
        raise CheckpointRefused("is damaged: its config is that of no model")
    found = tuple(_layers(config, (), "" if whole_h5 else "layers", tensors, whole_h5))
    paths = [each.path for each in found]
    if len(set(paths)) != len(paths):
        raise CheckpointRefused(f"is damaged: its config has two layers called {max(paths, key=paths.count)}")
    return Model("keras" if version.startswith("3.") else "tf_keras", found, tuple(_operations(config)))


def _operations(model: Config) -> Iterator[str]:
    """Yield the operations of a model, and of those within it: ``a[:, ::-1]`` between two layers is one."""
    inside = model["config"]
    for entry in inside if isinstance(inside, list) else inside.get("layers", []):
        if entry["class_name"] in MODELS:
            yield from _operations(entry)
        elif (operation := operation_of(entry)) is not None:
            yield f"{_name(entry)} ({operation})"


def _layers(
    model: Config, way: tuple[str, ...], folder: str, tensors: Mapping[str, Stored], whole_h5: bool, calls: int = 1
) -> Iterator[StoredLayer]:
    """Yield the recurrent layers of a model, and of those within it, with the number of calls."""
    if len(way) > DEEPEST:
        raise CheckpointRefused(f"has models within models, more than {DEEPEST} deep")
    inside = model["config"]
    entries = inside if isinstance(inside, list) else inside.get("layers", [])  # a list, as Keras 2.0 wrote it
    reads = _reads(model["class_name"], entries)
    counts: dict[str, int] = {}
    for entry in entries:
        kind, name = entry["class_name"], _name(entry)
        snake = _snake(kind)
        counts[snake] = counts.get(snake, -1) + 1
        own = f"{snake}_{counts[snake]}" if counts[snake] else snake
        group = (folder or f"model_weights/{name}") if whole_h5 else f"{folder}/{own}"
        names, times = (*way, name), calls * max(1, len(entry.get("inbound_nodes") or []))
        if kind in MODELS:
            yield from _layers(entry, names, group if whole_h5 else f"{group}/layers", tensors, whole_h5, times)
        elif _recurrent(entry):
            below, through = reads.get(name, ("", ()))
            path = "/".join((*way, below)) if below else ""
            yield _layer(entry, Said(names, group, path, through, False, ()), tensors, whole_h5, times)


def _name(entry: Config) -> str:
    name = entry.get("name") or entry["config"]["name"]
    if not isinstance(name, str):
        raise CheckpointRefused("is damaged: a layer in its config has no name")
    return name


def _snake(kind: str) -> str:
    """Return the name of the folder that Keras derives from a layer's class: ``simple_rnn`` for ``SimpleRNN``."""
    words = re.sub(r"\W+", "", kind)
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", words)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _recurrent(entry: Config) -> bool:
    """Return whether a layer is recurrent, or contains one that is."""
    waiting, seen = [entry], 0
    while waiting and seen < 100:
        each, seen = waiting.pop(), seen + 1
        if isinstance(each.get("class_name"), str) and LIKE_THEM.search(each["class_name"]):
            return True
        config = each.get("config")
        if isinstance(config, dict):
            waiting += [config[key] for key in ("layer", "cell") if isinstance(config.get(key), dict)]
    return False


def _reads(kind: str, entries: list[Config]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return for each layer of a model the only layer that it reads, and the skipped layers of dropout."""
    direct: dict[str, str] = {}
    inert = {_name(each): f"{_name(each)} ({each['class_name']})" for each in entries if each["class_name"] in DROPOUT}
    if kind == "Sequential":
        last = ""
        for each in entries:
            direct[_name(each)] = last
            last = _name(each) if each["class_name"] != "InputLayer" else last
    else:
        for each in entries:
            nodes = each.get("inbound_nodes") or []
            sources = list(_sources(nodes[0])) if len(nodes) == 1 else []  # a layer that is called twice reads two
            direct[_name(each)] = sources[0][0] if len(sources) == 1 and sources[0][1] == 0 else ""
    found = {}
    for name, below in direct.items():
        through: list[str] = []
        for _ in range(len(direct)):
            if below not in inert:
                break
            through.insert(0, inert[below])
            below = direct.get(below, "")
        found[name] = below, tuple(through)
    return found


def _sources(node: Any) -> Iterator[tuple[str, int]]:
    """Yield the inputs of a node of a model's graph: the layers, and which of their outputs."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            history = each.get("keras_history") if "keras_history" in each else None
            if isinstance(history, list) and len(history) == 3:
                yield str(history[0]), int(history[2])
            else:
                waiting += each.values()
        elif isinstance(each, list):
            if len(each) in (3, 4) and isinstance(each[0], str) and all(type(n) is int for n in each[1:3]):
                yield each[0], each[2]
                waiting += each[3:]
            else:
                waiting += each


def _layer(entry: Config, said: Said, tensors: Mapping[str, Stored], whole_h5: bool, calls: int) -> StoredLayer:
    path = "/".join(said.names)
    try:
        if calls > 1:
            raise CheckpointRefused(f"has {path}, which its model calls {calls} times; the harness has each layer once")
        inner = _directions(entry, path)
        cells = [_cell(each, path) for each in inner]
        if cells[0] != cells[-1]:
            raise CheckpointRefused(f"has {path} with two directions that differ in their config")
        cell, biased = cells[0]
        by_role = _tensors(said.names, said.group, tensors, whole_h5, len(inner) == 2, biased)
        block = _block(by_role, tensors, path, cell)
    except CheckpointRefused as refused:
        return StoredLayer("keras", path, None, None, {False: {}}, refused, said)
    sequence = bool(inner[0]["config"].get("return_sequences"))
    said = replace(said, sequence=sequence, inert=(*_inert(inner, path),))
    return StoredLayer("keras", path, None, block, by_role, None, said)


def _directions(entry: Config, path: str) -> list[Config]:
    """Return the layers that run over the steps, forward first."""
    if entry["class_name"] != "Bidirectional":
        _refuse(path, entry["config"], "go_backwards", (False, None), "it in a Bidirectional alone")
        return [entry]
    config = entry["config"]
    _refuse(path, config, "merge_mode", ("concat",), "'concat' alone")
    forward = config["layer"]
    backward = config.get("backward_layer") or {**forward, "config": {**forward["config"], "go_backwards": True}}
    _refuse(path, forward["config"], "go_backwards", (False, None), "a forward layer that runs forward")
    _refuse(path, backward["config"], "go_backwards", (True,), "a backward layer that runs backward")
    return [forward, backward]


def _cell(layer: Config, path: str) -> tuple[Block, bool]:
    """Return a layer's cell and units, the width of its inputs left at 0, and whether it has biases."""
    _refuse(path, layer["config"], "stateful", (False, None), "no state from one call to the next; pass it on yourself")
    holder = layer
    if layer["class_name"] == "RNN" and isinstance(layer["config"].get("cell"), dict):
        holder = layer["config"]["cell"]
    kind, config = holder["class_name"], holder["config"]
    if kind not in CELLS or (holder is layer) == kind.endswith("Cell"):
        raise CheckpointRefused(
            f"has {path} of the class {kind}, which the harness does not have; it has SimpleRNN, LSTM and GRU, "
            "Bidirectional, and RNN of one of their cells"
        )
    cell = CELLS[kind]
    for each in (layer["config"], config):
        _refuse_dtype(path, each)
    activation = None
    if cell == "rnn":
        _refuse(path, config, "activation", tuple(RNN_ACTIVATIONS), f"{', '.join(RNN_ACTIVATIONS)} in an rnn")
        activation = RNN_ACTIVATIONS[config["activation"]]
    else:
        _refuse(path, config, "activation", ("tanh",), f"'tanh' alone in {'a gru' if cell == 'gru' else 'an lstm'}")
        gates = f"'sigmoid' alone in {'a gru' if cell == 'gru' else 'an lstm'}"
        _refuse(path, config, "recurrent_activation", ("sigmoid",), gates)
    _refuse(path, config, "use_bias", (True, False), "true or false")
    units = config.get("units")
    if type(units) is not int or units < 1:
        raise CheckpointRefused(f"is damaged: its config says that {path} has units {units!r}")
    reset = None
    if cell == "gru":
        _refuse(path, config, "reset_after", (True, False, None), "true or false")
        reset = "after" if config.get("reset_after") else "before"
    return Block(cell, 0, units, reset, activation), config["use_bias"]


def _refuse(path: str, config: Config, field: str, had: tuple[object, ...], harness_has: str) -> None:
    value = config.get(field)
    if not isinstance(value, (str, bool, int, float, type(None))) or value not in had:
        shown = f"{value!r:.80}" if field in config else "left out"
        raise CheckpointRefused(f"has {path} with {field} {shown}; the harness has {harness_has}")


def _refuse_dtype(path: str, config: Config) -> None:
    policy = config.get("dtype", "float32")
    name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
    if name is not None and name not in DTYPES:
        raise CheckpointRefused(f"has {path} with dtype {name!r:.80}; the harness computes in {' and '.join(DTYPES)}")


def _inert(layers: list[Config], path: str) -> Iterator[str]:
    """Yield the settings of a config that act in training or on the order of arrays alone, and that a port lacks."""
    holders = [layers[0]["config"], layers[0]["config"].get("cell", {}).get("config", {})]
    for field in ("dropout", "recurrent_dropout"):
        for config in holders:
            if config.get(field):
                yield f"{path} has {field} {config[field]}, which acts in training alone; the port has none"
    if layers[0]["config"].get("time_major"):
        yield f"{path} has time_major True: its inputs are (T, B, I), and those of the port (B, T, I)"


def _tensors(
    names: tuple[str, ...], group: str, tensors: Mapping[str, Stored], whole_h5: bool, both: bool, biased: bool
) -> dict[bool, dict[str, str]]:
    """Return the file's names of a layer's tensors, by direction and role."""
    roles = ("kernel", "recurrent_kernel", "bias")[: 3 if biased else 2]
    found: dict[bool, dict[str, str]] = {}
    for reverse in (False, True)[: 1 + both]:
        direction = ("forward", "backward")[reverse]
        if whole_h5:
            for name in tensors:
                parts = name.split("/")
                if not name.startswith(f"{group}/") or (len(names) > 1 and names[-1] not in parts[2:]):
                    continue
                if both and not any(part.startswith(f"{direction}_") for part in parts[2:]):
                    continue
                role = parts[-1].removesuffix(":0")
                if role in found.setdefault(reverse, {}):
                    raise CheckpointRefused(f"has two tensors that may be the {role} of {'/'.join(names)}")
                found[reverse][role] = name
        else:
            below = f"{group}/{direction}_layer" if both else group
            own = {role: f"{below}/cell/vars/{n}" for n, role in enumerate(roles)}
            found[reverse] = {role: name for role, name in own.items() if name in tensors}
        if tuple(sorted(found.get(reverse, {}))) != tuple(sorted(roles)):
            there = ", ".join(found.get(reverse, {})) or "none"
            raise CheckpointRefused(
                f"is damaged: its config says that {'/'.join(names)} has {', '.join(roles)}, and the file has {there}"
            )
    return found


def _block(by_role: Mapping[bool, Mapping[str, str]], tensors: Mapping[str, Stored], path: str, said: Block) -> Block:
    """Return a layer's cell and sizes, with the width of its inputs; check that its tensors fit its config."""
    found = None
    for names in by_role.values():
        of_roles = {role: tensors[name] for role, name in names.items()}
        own = namings()["keras"].block(of_roles, said.reset, names.__getitem__)
        fits = own is not None and (own.cell, own.hidden, own.reset) == (said.cell, said.hidden, said.reset)
        if own is None or not fits or (found is not None and own.input != found.input):
            shapes = ", ".join(str(tensors[name].shape) for name in names.values())
            problem = f"is damaged: its config says that {path} is a {said.cell} of {said.hidden} units"
            raise CheckpointRefused(f"{problem}, and its tensors have the shapes {shapes}")
        found = replace(own, activation=said.activation)
    assert found is not None
    return found
