"""A user's file imported, and the implementation in it found. For the process that runs the file, and no other."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.candidate.userfile import tracebacks
from harness.candidate.userfile.naming import FileRefused, UserFile
from harness.casefile import listed, nearest
from harness.implementations import Implementation, implementation
from harness.recurrences import Recurrence, recurrences


@dataclass(frozen=True)
class Offer:
    """The contents of a file that can be checked.

    Attributes:
        implementations: one of networks, or those of recurrences; none if the file has recurrences alone.
        recurrences: the recurrences that the file declares, or that its implementations are of.
    """

    implementations: tuple[Implementation, ...]
    recurrences: Mapping[str, Recurrence]


def load(file: UserFile) -> Offer:
    """Import a file and return what can be checked of it.

    Raises:
        FileRefused: if it cannot be imported, or holds nothing that is wanted.
    """
    module = _imported(file)
    declared = {each.name: each for each in vars(module).values() if isinstance(each, Recurrence)}
    own = {name: each for name, each in declared.items() if each.step.__module__ == module.__name__}
    _check_names(file, module)
    found = _of_recurrences(file, module) if not file.function and (own or declared) else (_chosen(file, module),)
    for each in found:
        parameters = _parameters(each.function)
        if parameters is not None:
            taken = f"takes {parameters}, but should take one argument, the problem"
            raise FileRefused(f"{_at(file, each.function)}: {taken}")
    return Offer(found, _recurrences_of(file, found, declared, own))


def _check_names(file: UserFile, module: ModuleType) -> None:
    """Refuse two recurrences of one name; a problem of the one could not be distinguished from one of the other."""
    lines: dict[str, dict[int, int | None]] = {}
    for each in vars(module).values():
        if isinstance(each, Recurrence) and each.step.__module__ == module.__name__:
            lines.setdefault(each.name, {})[id(each)] = line_of(each.step)
    for name, found in lines.items():
        if len(found) > 1:
            there = " and ".join(str(line) for line in found.values())
            raise FileRefused(
                f"{file.shown}: two recurrences are called {name!r}, in lines {there}; rename one of them"
            )


def _of_recurrences(file: UserFile, module: ModuleType) -> tuple[Implementation, ...]:
    """Return the implementations of recurrences in a module, in their order."""
    offered = [each for each in vars(module).values() if isinstance(each, Implementation)]
    own = [each for each in offered if each.function.__module__ == module.__name__]
    of_networks = [each for each in own if not each.recurrence]
    if of_networks:
        names = ", ".join(f"{each.name} (line {line_of(each.function)})" for each in of_networks)
        raise FileRefused(
            f"{file.shown} declares a recurrence, but {names} is of none; add recurrence=… to its decorator, or "
            f"name it: {file.shown}:{of_networks[0].name}"
        )
    return tuple({id(each): each for each in own}.values())


def _recurrences_of(
    file: UserFile,
    found: Sequence[Implementation],
    declared: Mapping[str, Recurrence],
    own: Mapping[str, Recurrence],
) -> dict[str, Recurrence]:
    """Return the recurrences to make problems of: those of the implementations, or all that the file declares."""
    if not declared and not any(each.recurrence for each in found):
        return {}  # without an import of the library
    there = {**recurrences(), **declared}
    for each in found:
        if each.recurrence and each.recurrence not in there:
            hint = nearest(each.recurrence, there) or f"there are {listed(there)}"
            raise FileRefused(f"{_at(file, each.function)}: there is no recurrence {each.recurrence!r}; {hint}")
    wanted = dict.fromkeys(each.recurrence for each in found if each.recurrence)
    return {name: there[name] for name in wanted} if found else dict(own or declared)


def forget(file: UserFile) -> None:
    """Forget the user's own modules, and with them whatever state they keep; ``load`` imports them anew."""
    for name, module in list(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if source and tracebacks.is_users(source, file.path.parent):
            del sys.modules[name]


def line_of(function: Callable[..., Any]) -> int | None:
    """Return the line where a function begins, its decorators included; None if it is none of Python's."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_firstlineno if code is not None else None


def _imported(file: UserFile) -> ModuleType:
    folder, package = file.path.parent, ""
    # A package's own relative imports work. A folder whose name has a dot, say, is none that Python could import.
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        package, folder = f"{folder.name}.{package}", folder.parent
    name = package + file.path.stem.replace(".", "_")
    for each in dict.fromkeys((str(folder), str(file.path.parent))):
        if each not in sys.path[:2]:
            sys.path.insert(0, each)
    sys.argv = [str(file.path)]
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) != str(file.path):
        name = f"{name}_"  # a file called as a module that is already here
    spec = importlib.util.spec_from_file_location(name, file.path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        if package:
            importlib.import_module(package.removesuffix("."))
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except BaseException as error:  # SystemExit and KeyboardInterrupt, too: it is the file that raised it
        sys.modules.pop(name, None)
        raise _not_imported(file, error) from None
    return module


def _not_imported(file: UserFile, error: BaseException) -> FileRefused:
    detail = tracebacks.from_users_line_on(error)
    if isinstance(error, SyntaxError) and error.filename:
        where = f"{_shown(file, error.filename)}:{error.lineno}"
        return FileRefused(f"{where}: {type(error).__name__}: {error.msg}", detail)
    place = tracebacks.place_of(error, file.path.parent)
    where = f"{_shown(file, place[0])}:{place[1]}" if place else file.shown
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    raised_by_us = innermost is not None and tracebacks.is_ours(innermost.tb_frame.f_code.co_filename)
    if isinstance(error, ValueError) and raised_by_us:
        return FileRefused(f"{where}: {error}")  # the decorator refused it
    return FileRefused(f"{where}: importing it raised {tracebacks.line_of(error)}", detail)


def _chosen(file: UserFile, module: ModuleType) -> Implementation:
    public = {name: value for name, value in vars(module).items() if not name.startswith("__")}
    offered = {name: each for name, each in public.items() if isinstance(each, Implementation)}
    own = {name: each for name, each in offered.items() if each.function.__module__ == module.__name__}
    functions = {
        name: each for name, each in public.items() if inspect.isfunction(each) and each.__module__ == module.__name__
    }
    if file.function:
        return _named(file, public, offered, functions)
    candidates = {id(each): each for each in (own or offered).values()}
    if len(candidates) == 1:
        return next(iter(candidates.values()))
    if candidates:
        there = ", ".join(f"{each.name} (line {line_of(each.function)})" for each in candidates.values())
        first = next(iter(candidates.values())).name
        raise FileRefused(f"{file.shown} has several implementations: {there}; name one: {file.shown}:{first}")
    raise FileRefused(_none_in(file, functions))


def _named(
    file: UserFile,
    public: Mapping[str, Any],
    offered: Mapping[str, Implementation],
    functions: Mapping[str, Callable[..., Any]],
) -> Implementation:
    wanted = file.function
    by_name = {**{each.name: each for each in offered.values()}, **offered}
    if wanted in by_name:
        return by_name[wanted]
    if wanted not in public:
        there = [*by_name, *functions]
        listed = f"there are {', '.join(dict.fromkeys(there))}" if there else "there is no function in it"
        raise FileRefused(f"{file.shown}: there is no {wanted!r} in it; {nearest(wanted, there) or listed}")
    if not callable(public[wanted]):
        raise FileRefused(f"{file.shown}: {wanted!r} is {type(public[wanted]).__name__}, but should be a function")
    return implementation(wanted)(public[wanted])


def _none_in(file: UserFile, functions: Mapping[str, Callable[..., Any]]) -> str:
    problem = f"{file.shown}: there is no implementation in it, no function under @harness.implementation(...)"
    if functions:
        there = ", ".join(f"{name} (line {line_of(each)})" for name, each in functions.items())
        return f"{problem}; its functions are {there}: name one, as in {file.shown}:{next(iter(functions))}"
    return f"{problem}; `harness new --implementation NAME.py` writes one to begin with"


def _parameters(function: Callable[..., Any]) -> str | None:
    """Return the parameters in words if the function cannot be called with a problem alone."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(None)
    except TypeError:
        return f"({', '.join(signature.parameters)})" if signature.parameters else "no argument"
    return None


def _at(file: UserFile, function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    line = line_of(function)
    return f"{file.shown}:{line}: {name}" if line is not None else f"{file.shown}: {name}"


def _shown(file: UserFile, path: str) -> str:
    """Write a path as the user would: relative to where the file was named from."""
    if Path(path) == file.path:
        return file.shown
    try:
        return str(Path(file.shown).parent / Path(path).relative_to(file.path.parent))
    except ValueError:
        return path
