"""Execute docs/notebooks/in-a-notebook.ipynb and write its outputs into it: ``make notebook``.

A cell's output is what it prints, and its last expression as text and as HTML. Nothing but the package itself is
needed, so that the notebook runs where a reader has no more than that.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent / "notebooks" / "in-a-notebook.ipynb"


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with the outputs of its cells."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            cells.append(cell)
            continue
        count = sum(each["cell_type"] == "code" for each in cells) + 1
        outputs = _outputs("".join(cell["source"]), count, names)
        cells.append({**cell, "execution_count": count, "outputs": outputs})
    return {**notebook, "cells": cells}


def _outputs(source: str, count: int, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Execute a cell, and return its outputs.

    Args:
        source: The cell.
        count: Its number, from 1.
        names: The variables of the notebook, which the cell changes.
    """
    file = f"<cell {count}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    tree = ast.parse(source, file)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, file, "exec"), names)
        value = eval(compile(ast.Expression(last.value), file, "eval"), names) if last is not None else None
    outputs: list[dict[str, Any]] = []
    if text := printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)})
    if value is not None:
        data = {"text/plain": [repr(value)]}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_().splitlines(keepends=True)
        outputs.append({"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data})
    return outputs


def main() -> None:
    """Execute the notebook, and write it; with an argument, write it there instead."""
    found = executed(json.loads(NOTEBOOK.read_text(encoding="utf-8")))
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else NOTEBOOK
    target.write_text(json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
