"""The JSON Schema of a case file, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from harness.case.fields import STRICT, Fields

TITLE = "A case of bptt-harness"
"""By this pytest's plugin knows the schema from another project's of the same file name."""


def json_schema() -> dict[str, Any]:
    """Return the schema: the fields of a case, and ``sweep``."""
    STRICT["use_attribute_docstrings"] = True
    try:
        schema = TypeAdapter(Fields).json_schema(mode="validation")
    finally:
        STRICT["use_attribute_docstrings"] = False
    schema["title"] = TITLE
    schema["properties"]["sweep"] = {
        "description": "Fields by name (sizes.time), each with a list of values; each combination is a case.",
        "type": "object",
        "additionalProperties": {"type": "array", "minItems": 1},
    }
    # A sweep may give a required field: `sweep: {sizes.time: [1, 2]}` without sizes.time.
    unswept = {"required": schema.pop("required"), "properties": {"sizes": _required(schema["$defs"]["Sizes"])}}
    schema |= {"if": {"required": ["sweep"]}, "then": {}, "else": unswept}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _required(definition: dict[str, Any]) -> dict[str, Any]:
    """Move a definition's list of required keys out of it."""
    return {"required": definition.pop("required")}
