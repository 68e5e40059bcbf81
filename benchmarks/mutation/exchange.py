"""Exchange the source of an imported module: its functions stay the same objects and get other code."""

from __future__ import annotations

import functools
import gc
import inspect
import sys
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any


def all_caches() -> list[Any]:
    """Return every function that caches its results."""
    return [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]


def exchange(module: ModuleType, source: str) -> None:
    """Give every function of a module the code and defaults that it has in another source of the module.

    Raises:
        RuntimeError: If the other source has other functions.
    """
    other = ModuleType(module.__name__)
    other.__dict__.update(
        __file__=module.__file__, __package__=module.__package__, __path__=getattr(module, "__path__", None)
    )
    sys.modules[module.__name__] = other  # dataclasses look up their module
    exec(compile(source, str(module.__file__), "exec"), other.__dict__)
    sys.modules[module.__name__] = module
    here, there = dict(functions(module)), dict(functions(other))
    if here.keys() != there.keys():
        raise RuntimeError(f"other functions than before: {here.keys() ^ there.keys()}")
    for name, function in here.items():
        code = there[name].__code__
        if code.co_freevars != function.__code__.co_freevars:  # the mutant does without super()
            owner, _, method = name.partition(".")
            setattr(getattr(module, owner), method, FunctionType(code, vars(module), method, there[name].__defaults__))
            continue
        function.__code__ = code
        function.__defaults__, function.__kwdefaults__ = there[name].__defaults__, there[name].__kwdefaults__


def spoil(function: FunctionType) -> None:
    """Make a function raise an error for any arguments."""

    def spoilt(*_: object, **__: object) -> None:
        raise RuntimeError("this function was taken away")

    free = function.__code__.co_freevars
    function.__code__ = spoilt.__code__.replace(co_freevars=free) if free else spoilt.__code__


def functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Yield the functions and methods that a module defines, without their decorators."""
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            for inner, method in vars(value).items():
                yield from ((f"{name}.{inner}{kind}", each) for kind, each in _inside(method, module))
        else:
            yield from ((f"{name}{kind}", each) for kind, each in _inside(value, module))


def _inside(value: Any, module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    for kind in ("fget", "fset", "func", "__func__"):
        if not isinstance(value, FunctionType) and isinstance(getattr(value, kind, None), FunctionType):
            yield f".{kind}", getattr(value, kind)
    value = inspect.unwrap(value) if callable(value) and not inspect.isclass(value) else value
    if isinstance(value, FunctionType) and value.__code__.co_filename == module.__file__:
        yield "", value
