"""All mutants of a module: copies of its source with one node replaced by mutmut's operators.

mutmut itself mutates only functions that it can call through its trampolines. That leaves out decorated functions
(every property and every method marked ``@override``, so most of the layouts) and all code outside of functions, such
as the tolerance table. Here a mutant is the source of a whole module, so all code that runs is mutated.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, WhitespaceInclusivePositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode


@dataclass(frozen=True)
class Mutant:
    """One wrong version of a module.

    Attributes:
        path: The path of the module's file, from the repository's root.
        line: The first line of the replaced node.
        function: The outermost function or method around it, ``Class.method``; empty outside of functions.
        before, after: The node, and its replacement.
        nth: The number among the mutants of the function with the same ``before`` and ``after``, from 1.
        statement: The first and the last line of the statement that contains the node.
        around: The first and the last line of the function; of the module's file outside of functions.
        source: The source of the whole module, with the node replaced.
    """

    path: str
    line: int
    function: str
    before: str
    after: str
    nth: int
    statement: tuple[int, int]
    around: tuple[int, int]
    source: str

    @property
    def name(self) -> str:
        """The name of the mutant, which does not depend on line numbers."""
        return name_of_mutant(self.path, self.function, self.before, self.after, self.nth)


def name_of_mutant(path: str, function: str, before: str, after: str, nth: int) -> str:
    """Return the name of a mutant in lists."""
    return f"{path} {function or '-'}: {before} -> {after}" + (f" (no. {nth})" if nth > 1 else "")


class _Everywhere(MutationVisitor):
    """mutmut's choice of nodes, and decorated functions; their decorators are not mutated."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef):
            return False
        if isinstance(node, cst.ImportFrom | cst.Import) or _is_for_readers_alone(node):
            return True
        return super()._skip_node_and_children(node)


def _is_for_readers_alone(node: cst.CSTNode) -> bool:
    """Return whether a node is a type alias, whose name is in CapWords, or a module's list of exports."""
    if not isinstance(node, cst.Assign) or not isinstance(node.targets[0].target, cst.Name):
        return False
    name = node.targets[0].target.value
    return name == "__all__" or (name[0].isupper() and not name.isupper())


def mutants(path: Path, module_path: str) -> Iterator[Mutant]:
    """Yield every mutant of a file that is valid Python, once, in the order of the file."""
    original = path.read_text()
    visitor = _Everywhere(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper = MetadataWrapper(cst.parse_module(original), unsafe_skip_copy=True)
    module = wrapper.visit(visitor)
    spans, functions = wrapper.resolve(WhitespaceInclusivePositionProvider), _functions(module)
    starts = [0]
    for line in original.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen = {original}
    tree = ast.parse(original)
    alike = Counter[tuple[str, str, str]]()
    for each in visitor.mutations:
        span = spans[each.original_node]
        assert isinstance(span, CodeRange)
        begin = starts[span.start.line - 1] + span.start.column
        end = starts[span.end.line - 1] + span.end.column
        after = module.code_for_node(each.mutated_node)
        source = original[:begin] + after + original[end:]
        if source in seen or not _compiles(source):
            continue
        seen.add(source)
        outer = each.contained_by_top_level_function
        function = functions.get(outer, "") if outer is not None else ""
        known = function, one_line(original[begin:end]), one_line(after)
        alike[known] += 1
        statement, around = _lines_around(tree, span.start.line)
        yield Mutant(module_path, span.start.line, *known, alike[known], statement, around, source)


def _lines_around(tree: ast.Module, line: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the lines of the statement with a line (of a compound one, its head), and those of the outer function."""
    statement = around = (1, line)
    functions = 0
    inside: list[ast.stmt] = tree.body
    while inside:
        # If two statements share a line, the last one counts.
        holding = [each for each in inside if each.lineno <= line <= (each.end_lineno or each.lineno)]
        holding = holding or [each for each in inside if _first_line(each) <= line <= (each.end_lineno or each.lineno)]
        if not holding:
            break
        innermost = holding[-1]
        whole = (_first_line(innermost), innermost.end_lineno or innermost.lineno)
        blocks = [block for block in _blocks(innermost) if block]
        heads = min((_first_line(block[0]) for block in blocks), default=whole[1] + 1)
        if isinstance(innermost, ast.FunctionDef):
            functions += 1
            around = whole if functions == 1 else around
            statement = whole
        else:
            statement = (whole[0], max(whole[0], heads - 1)) if line < heads else whole
        inside = [each for block in blocks for each in block]
    return statement, around


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for name in ("handlers", "cases"):
        for each in getattr(statement, name, []):
            yield each.body


def _functions(module: cst.Module) -> dict[cst.CSTNode, str]:
    named: dict[cst.CSTNode, str] = {}
    for each in module.body:
        if isinstance(each, cst.FunctionDef):
            named[each] = each.name.value
        elif isinstance(each, cst.ClassDef):
            for method in each.body.body:
                if isinstance(method, cst.FunctionDef):
                    named[method] = f"{each.name.value}.{method.name.value}"
    return named


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def one_line(code: str) -> str:
    """Write code in one line, without its comments."""
    return " ".join(" ".join(line.split("  #")[0] for line in code.splitlines()).split())
