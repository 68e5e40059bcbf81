"""Every small edit of a hand-written backward pass, none chosen by hand."""

from __future__ import annotations

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Path = tuple[tuple[str, int | None], ...]
"""The way from a function to a node of its syntax: a field, and the position in it where the field is a list."""

PLAUSIBLE = ("operand", "sign", "statement", "transpose", "time", "order", "reduction", "begin")
"""Sorts of edits that people make."""

SORTS = (*PLAUSIBLE, "variable", "division", "gradient gone")
"""Every sort of edit: then another variable, a division for a product, and a gradient that is no gradient any more."""

GRADIENT = re.compile(r"^(d(?!t$|ecay$)\w+|upstream\w*|of_(?!cells$)\w+|scaled|from_floor|rows|writes|reads)$")
"""Names of gradients in the passes; ``dt`` is Mamba's step size, ``decay`` RWKV's."""


class _Unset:
    """NumPy, whose new arrays hold NaN until they are written to: an edit that leaves that out gives no number."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any = float) -> Any:
        """Return an array of NaN."""
        return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype)

    def empty_like(self, array: Any) -> Any:
        """Return an array of NaN like another."""
        return self.empty(array.shape, array.dtype)


@dataclass(frozen=True)
class Edit:
    """One change of a pass.

    Attributes:
        path: the place that changes.
        new: the syntax that stands there after the edit.
        sort: one of ``SORTS``.
        text: the change in words, old → new, with the line that it is in.
    """

    path: Path
    new: ast.AST
    sort: str
    text: str


class Pass:
    """A hand-written pass that can be edited. If it has two loops, the backward part begins after the first.

    Args:
        function: the pass.
    """

    def __init__(self, function: Callable[[Any], dict[str, Any]]) -> None:
        self._globals = vars(inspect.getmodule(function))
        self._name = function.__name__
        self._tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        self.edits = list(self._edits())

    def edited(self, edits: Sequence[Edit]) -> Callable[[Any], dict[str, Any]]:
        """Return the pass with edits made; no two of them may overlap."""
        tree = copy.deepcopy(self._tree)
        for each in edits:
            _put(tree, each.path, copy.deepcopy(each.new))
        scope = {**self._globals, "np": _Unset()}
        exec(compile(ast.fix_missing_locations(tree), f"<{self._name}>", "exec"), scope)
        return scope[self._name]

    def _edits(self) -> Iterator[Edit]:
        function = self._tree.body[0]
        assert isinstance(function, ast.FunctionDef)
        loops = [i for i, each in enumerate(function.body) if isinstance(each, ast.For)]
        first = loops[0] if len(loops) > 1 else -1
        loop = function.body[loops[-1]]
        named = {each.id for each in ast.walk(loop) if isinstance(each, ast.Name)}
        own = sorted(named - {"t", "T", "np", "reversed", "range", "sigmoid", "problem", "slice"})
        for i, statement in enumerate(function.body[first + 1 :], first + 1):
            for path, node in _walked(statement, (("body", 0), ("body", i))):
                yield from self._of(path, node, own, in_loop=statement is loop)

    def _of(self, path: Path, node: ast.AST, own: Sequence[str], *, in_loop: bool) -> Iterator[Edit]:
        for sort, new in _alternatives(node, own, in_loop=in_loop):
            line, new = self._line(path), ast.fix_missing_locations(new)
            if sort in ("operand", "variable") and self._loses_gradient(path, new):
                sort = "gradient gone"
            yield Edit(path, new, sort, f"{ast.unparse(node)} → {ast.unparse(new)} in `{line}`")

    def _statement(self, path: Path) -> tuple[Path, ast.AST]:
        node: ast.AST = self._tree
        found, at = node, 0
        for depth, (field, i) in enumerate(path, 1):
            value = getattr(node, field)
            node = value if i is None else value[i]
            if isinstance(node, ast.stmt):
                found, at = node, depth
        return path[:at], found

    def _line(self, path: Path) -> str:
        return ast.unparse(self._statement(path)[1]).split("\n")[0]

    def _loses_gradient(self, path: Path, new: ast.AST) -> bool:
        """Return whether a statement that was linear in gradients, as each of a backward pass is, is no longer."""
        at, statement = self._statement(path)
        changed = copy.deepcopy(statement)
        _put(changed, path[len(at) :], copy.deepcopy(new))
        return any(
            _is_linear(one) and not _is_linear(other)
            for one, other in zip(_expressions(statement), _expressions(changed), strict=True)
        )


def _expressions(statement: ast.AST) -> list[ast.expr]:
    """Return what a statement computes: of a dictionary that is returned, each value."""
    if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Dict):
        return statement.value.values
    return [statement.value] if isinstance(statement, ast.Assign | ast.AugAssign) else []


def _alternatives(node: ast.AST, own: Sequence[str], *, in_loop: bool) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, ast.BinOp):
        yield from (("operand", each) for each in (node.left, node.right) if not isinstance(each, ast.Constant))
        if isinstance(node.op, ast.Add | ast.Sub) and not _is_index(node):
            yield "sign", ast.BinOp(node.left, ast.Sub() if isinstance(node.op, ast.Add) else ast.Add(), node.right)
        if isinstance(node.op, ast.Mult):
            yield "division", ast.BinOp(node.left, ast.Div(), node.right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "sign", node.operand
    if isinstance(node, ast.AugAssign):
        yield "statement", ast.Assign([node.target], node.value)
    if isinstance(node, ast.Assign | ast.AugAssign) and in_loop and not isinstance(node.value, ast.Subscript):
        yield "statement", ast.Pass()
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", node.value
    if isinstance(node, ast.Attribute) and node.attr == "sum":
        yield "reduction", ast.Attribute(node.value, "mean", node.ctx)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "copy":
        yield (
            "begin",
            ast.Call(ast.Attribute(ast.Name("np", ast.Load()), "zeros_like", ast.Load()), [node.func.value], []),
        )
    if isinstance(node, ast.List) and isinstance(node.ctx, ast.Load):
        for i in range(len(node.elts) - 1):
            swapped = [*node.elts[:i], node.elts[i + 1], node.elts[i], *node.elts[i + 2 :]]
            yield "order", ast.List(swapped, ast.Load())
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and in_loop:
        yield from _other_steps(node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and in_loop and node.id in own:
        kind = bool(GRADIENT.match(node.id))
        yield from (
            ("variable", ast.Name(m, ast.Load())) for m in own if m != node.id and bool(GRADIENT.match(m)) == kind
        )


def _other_steps(node: ast.Subscript) -> Iterator[tuple[str, ast.AST]]:
    """Yield a read of another step than t: the one before, the first, the steps in reverse; after for before."""
    text = ast.unparse(node)
    for old, new in (("t + 1]", "t]"), (" t]", " t - 1]"), ("[t]", "[t - 1]"), ("[t]", "[t + 1]"), (" t]", " 0]")):
        if text.endswith(old):
            yield "time", ast.parse(text.removesuffix(old) + new, mode="eval").body
    if text.endswith(" t]"):
        yield "time", ast.parse(text.removesuffix("t]") + "T - 1 - t]", mode="eval").body


def _is_index(node: ast.BinOp) -> bool:
    return isinstance(node.left, ast.Name) and node.left.id in ("t", "T")


def _has_gradient(node: ast.AST) -> bool:
    return any(
        (isinstance(each, ast.Name) and GRADIENT.match(each.id) is not None)
        or (isinstance(each, ast.Attribute) and each.attr.startswith("upstream"))
        for each in ast.walk(node)
    )


def _is_linear(node: ast.AST) -> bool:
    """Return whether each term of an expression has a gradient as a factor."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return _is_linear(node.left) and _is_linear(node.right)
    if isinstance(node, ast.BinOp):
        return _is_linear(node.left) or (not isinstance(node.op, ast.Div) and _is_linear(node.right))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean"):
        return _is_linear(node.func.value)
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.List):
        return all(_is_linear(each) for each in node.args[0].elts)
    return _has_gradient(node)


def _walked(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
    yield path, node
    for field, value in ast.iter_fields(node):
        for i, each in enumerate(value) if isinstance(value, list) else ((None, value),):
            if isinstance(each, ast.AST):
                yield from _walked(each, (*path, (field, i)))


def _put(tree: ast.AST, path: Path, new: ast.AST) -> None:
    node: Any = tree
    for field, i in path[:-1]:
        value = getattr(node, field)
        node = value if i is None else value[i]
    field, i = path[-1]
    if i is None:
        setattr(node, field, new)
    else:
        getattr(node, field)[i] = new


def overlap(one: Edit, other: Edit) -> bool:
    """Return whether one edit's place lies in the other's."""
    n = min(len(one.path), len(other.path))
    return one.path[:n] == other.path[:n]
