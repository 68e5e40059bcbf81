"""The JSON Schema of a case file, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from harness.case.fields import CELLS, STRICT, Fields, RecurrenceFields

TITLE = "A case of bptt-harness"
"""By this pytest's plugin knows the schema from another project's of the same file name."""

DEFINITIONS = "$defs"


def json_schema() -> dict[str, Any]:
    """Return the schema: the fields of a network's case or of a recurrence's, by its cell, and ``sweep``."""
    STRICT["use_attribute_docstrings"] = True
    try:
        network, recurrence = (TypeAdapter(of).json_schema(mode="validation") for of in (Fields, RecurrenceFields))
    finally:
        STRICT["use_attribute_docstrings"] = False
    definitions = {**network.pop(DEFINITIONS), **recurrence.pop(DEFINITIONS)}
    # With a sweep, a field that must be given may be given there: `sweep: {sizes.time: [1, 2]}` without sizes.time.
    sizes = _required(definitions["Sizes"])
    network |= _unless_swept({**_required(network), "properties": {"sizes": sizes}})
    recurrence |= _unless_swept(_required(recurrence))
    for each in (network, recurrence):
        each["properties"]["sweep"] = {
            "description": "Fields by name (sizes.time), each with a list of values; each combination is a case.",
            "type": "object",
            "additionalProperties": {"type": "array", "minItems": 1},
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        DEFINITIONS: {**definitions, "Network": network, "Recurrence": recurrence},
        "title": TITLE,
        "type": "object",
        "if": {"properties": {"cell": {"enum": list(CELLS)}}},
        "then": {"$ref": f"#/{DEFINITIONS}/Network"},
        "else": {"$ref": f"#/{DEFINITIONS}/Recurrence"},
    }


def _required(definition: dict[str, Any]) -> dict[str, Any]:
    """Move a definition's list of required keys out of it."""
    return {"required": definition.pop("required")}


def _unless_swept(required: dict[str, Any]) -> dict[str, Any]:
    """Return what holds a case without a sweep to its required keys."""
    return {"if": {"required": ["sweep"]}, "then": {}, "else": required}
