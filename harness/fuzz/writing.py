"""Write a found case to a case file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from harness.case import CaseFile, read, root_of
from harness.case.fields import Fields, Loss
from harness.casefile import visible
from harness.casefile.document import MAX_LETTERS
from harness.fuzz.drawing import Data


def without_defaults(data: Mapping[str, Any]) -> Data:
    """Return the data of a case without default values, in the order of the fields."""
    names = [each.name for each in dataclasses.fields(Fields)]
    ordered = {name: data[name] for name in sorted(data, key=names.index)}
    if "loss" in ordered:
        ordered["loss"] = _without(Loss, ordered["loss"])
    if ordered.get("targets") == "zeros":
        del ordered["targets"]
    return {name: value for name, value in _without(Fields, ordered).items() if value != {}}


def _without(of: Any, data: Mapping[str, Any]) -> Data:
    defaults = {each.name: each.default for each in dataclasses.fields(of)}
    return {name: value for name, value in data.items() if value != defaults.get(name, dataclasses.MISSING)}


def name_of(data: Mapping[str, Any], implementation: str) -> str:
    """Return the name of a found case, which depends on the case alone, so that it is not written twice."""
    digest = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', implementation)}_{data.get('cell', 'rnn')}_{digest[:8]}"


def write(data: Mapping[str, Any], about: str, remarks: Sequence[str], path: Path) -> None:
    """Write a case file, and check that it reads back as the same case.

    Args:
        data: The data of the case.
        about: The text of its ``about``.
        remarks: Comment lines above it.
        path: The file. An existing one is the same case, perhaps with the user's notes, and is not changed.

    Raises:
        RuntimeError: If it does not read back, which is a mistake of this module.
    """
    said = {"about": visible(about)[:MAX_LETTERS], **without_defaults(data)}
    body = yaml.safe_dump(said, default_flow_style=None, sort_keys=False, width=110, allow_unicode=True)
    comment = "".join(f"# {line}\n" for remark in remarks for line in visible(remark).splitlines())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(comment + body)
    except FileExistsError:
        return
    loaded = read(CaseFile(path, root_of(path)))
    if len(loaded.cases) != 1:
        raise RuntimeError(f"{path} was written, but is not a valid case: {loaded.mistakes}")
