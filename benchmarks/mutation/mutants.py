"""All mutants of a module: copies of its source with one node replaced, as mutmut's operators replace it.

mutmut itself mutates only what it can call through its trampolines: no decorated function, which leaves out every
property and every method marked ``@override``, most of the layouts, and nothing outside of functions, the tolerance
table for one. Here a mutant is the source of a whole module, so that everything mutates that runs.
"""

from __future__ import annotations

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
        path: of the module's file, from the repository's root.
        line: where the replaced node begins.
        function: the outermost function or method around it, ``Class.method``; empty outside of functions.
        before, after: the node, and what stands in its place.
        source: of the whole module, with the node replaced.
    """

    path: str
    line: int
    function: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.path} {self.function or '-'}: {self.before} -> {self.after}"


class _Everywhere(MutationVisitor):
    """mutmut's choice of nodes, and decorated functions; their decorators stay what they are."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.FunctionDef):
            return False
        if isinstance(node, cst.ImportFrom | cst.Import) or _is_for_readers_alone(node):
            return True
        return super()._skip_node_and_children(node)


def _is_for_readers_alone(node: cst.CSTNode) -> bool:
    """Whether the node is a type's alias, which is in CapWords, or what a module exports."""
    if not isinstance(node, cst.Assign) or not isinstance(node.targets[0].target, cst.Name):
        return False
    name = node.targets[0].target.value
    return name == "__all__" or (name[0].isupper() and not name.isupper())


def mutants(path: Path, module_path: str) -> Iterator[Mutant]:
    """Yield every mutant of a file once, in the order of the file, as far as it is Python."""
    original = path.read_text()
    visitor = _Everywhere(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper = MetadataWrapper(cst.parse_module(original), unsafe_skip_copy=True)
    module = wrapper.visit(visitor)
    spans, functions = wrapper.resolve(WhitespaceInclusivePositionProvider), _functions(module)
    starts = [0]
    for line in original.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen = {original}
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
        yield Mutant(module_path, span.start.line, function, _one_line(original[begin:end]), _one_line(after), source)


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


def _one_line(code: str) -> str:
    """Write code in one line, without its comments."""
    return " ".join(" ".join(line.split("  #")[0] for line in code.splitlines()).split())
