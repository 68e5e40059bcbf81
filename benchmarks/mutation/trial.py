"""The trial of a module's mutants: each in a fork, in which the tests run until the first of them fails.

A mutant inside a function takes the place of the function's code in a fork of a process that has collected the tests
already: the function stays the same object, so that it does not matter who imported it under what name. A mutant
outside of functions is imported in place of the module by a fork that has none of ours imported yet.

Tests run quickest first, as far as the seconds that a trial may take suffice; with more seconds, more mutants die.
"""

from __future__ import annotations

import functools
import gc
import inspect
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

MEMORY = 6 * 2**30  # bytes
PYTEST = ["-x", "-qq", "--no-header", "--no-summary", "--tb=no", "-p", "no:cacheprovider"]
PYTEST += ["-p", "_hypothesis_pytestplugin", "-p", "pytest_timeout"]
PATIENCE = 4.0
"""A mutant that takes this many times what the right version does, and as many seconds more, is a timeout."""


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a version of a module.

    Attributes:
        verdict: ``survived``, ``killed``, or ``timeout``, which is killed as well.
        by: the test that failed first, or why there is none.
        seconds: of wall time.
    """

    verdict: str
    by: str
    seconds: float


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Chosen:
    """Which tests run, and in what order: a plugin of pytest, which also notes how long each takes and what fails."""

    order: list[str] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    by: str = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep the chosen tests, in their order."""
        if self.order is not None:
            place = {name: at for at, name in enumerate(self.order)}
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure, and the seconds."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed and not self.by:
            self.by = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be imported."""
        if report.failed and not self.by:
            self.by = f"{report.nodeid} (not collected)"

    def within(self, budget: float) -> list[str]:
        """Return the quickest tests, as many as fit into the seconds of a budget."""
        order, spent = [], 0.0
        for name in sorted(self.seconds, key=self.seconds.__getitem__):
            spent += self.seconds[name]
            if spent > budget:
                break
            order.append(name)
        return order


class _Instead(MetaPathFinder, Loader):
    """Finds one module, and gives it another source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source, self.used = name, path, source, False

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find the module, as a package if its file says so."""
        del path, target
        if fullname != self.name:
            return None
        inside = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return spec_from_file_location(fullname, self.path, loader=self, submodule_search_locations=inside)

    def exec_module(self, module: ModuleType) -> None:
        """Run the other source."""
        self.used = True
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


def prepare() -> None:
    """Import what is not ours and what the tests need, once for all forks."""
    import hypothesis.extra.numpy
    import mpmath
    import numpy.testing
    import psutil
    import pydantic
    import safetensors.numpy
    import yaml

    del mpmath, numpy, psutil, pydantic, safetensors, yaml
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # A counterexample is enough; the least one takes many times as long.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutation", phases=phases, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")
    ours = [name for name in sys.modules if name.partition(".")[0] in ("harness", "reference_impls")]
    assert not ours, f"imported before the fork: {ours}"


def name_of(path: str) -> str:
    """Return the dotted name of the module in a file."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def chosen_tests(tests: list[str], budget: float) -> list[str]:
    """Run tests on our modules as they are; return the quickest, as many as fit into a budget of seconds.

    Raises:
        RuntimeError: if they fail.
    """
    prepare()
    chosen = Chosen()

    def whole() -> tuple[str, str]:
        status = pytest.main([*PYTEST, *tests], plugins=[chosen])
        if status != pytest.ExitCode.OK:
            return "killed", chosen.by or str(status)
        return "survived", json.dumps(chosen.within(budget))

    outcome = in_a_fork(whole, 1200)
    if outcome.verdict != "survived":
        raise RuntimeError(f"tests fail on the right version: {outcome.by}")
    return list(json.loads(outcome.by))


def imported(root: Path, path: str, source: str, tests: list[str], order: list[str], limit: float) -> Outcome:
    """Try another source of a module, imported in its place."""
    instead, chosen = _Instead(name_of(path), root / path, source), Chosen(order)

    def whole() -> tuple[str, str]:
        sys.meta_path.insert(0, instead)
        status = pytest.main([*PYTEST, *tests], plugins=[chosen])
        if status == pytest.ExitCode.OK:
            return ("survived" if instead.used else "not imported"), ""
        return "killed", chosen.by or f"pytest ended with {status!r}"

    outcome = in_a_fork(whole, limit)
    if outcome.verdict == "not imported":
        raise RuntimeError(f"{path} is not imported by {', '.join(tests)}")
    return outcome


class Exchanging:
    """A plugin of pytest that, once the tests are collected, tries other sources of modules in forks.

    Args:
        root: of the repository.
        chosen: notes what fails.
        sources: each the path of a module's file, from the root, and what shall stand in it; only what stands in its
            functions may differ from what is there.
        limit: seconds for each.
        tell: called with the number of the source and its outcome.
    """

    def __init__(
        self,
        root: Path,
        chosen: Chosen,
        sources: list[tuple[str, str]],
        limit: float,
        tell: Callable[[int, Outcome], None],
    ) -> None:
        self.root, self.chosen, self.sources, self.limit, self.tell = root, chosen, sources, limit, tell
        self.caches: list[Any] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all sources, and before them each module as it is, and with functions that only raise an error.

        Raises:
            RuntimeError: if tests fail on modules as they are, or do not notice that a module only raises errors.
        """
        self.caches = all_caches()
        gc.freeze()  # what is there is shared with the forks, as long as nobody touches it
        paths = list(dict.fromkeys(path for path, _ in self.sources))
        originals = [(path, (self.root / path).read_text()) for path in paths]
        right = in_a_fork(lambda: self._run(session, originals), 600)
        if right.verdict != "survived":
            raise RuntimeError(f"tests fail on the right versions of {', '.join(paths)}: {right.by}")
        for path in paths:
            if in_a_fork(lambda path=path: self._run(session, [], path), self.limit).verdict != "killed":
                raise RuntimeError(f"no test notices that nothing in {path} works")
        for number, source in enumerate(self.sources):
            self.tell(number, in_a_fork(lambda source=source: self._run(session, [source]), self.limit))
        return True

    def _run(self, session: pytest.Session, sources: list[tuple[str, str]], broken: str = "") -> tuple[str, str]:
        for path, source in sources:
            exchange(self._module(path), source)
        if broken:
            for _, function in functions(self._module(broken)):
                spoil(function)
        for cached in self.caches:
            cached.cache_clear()
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.chosen.by:
                return "killed", self.chosen.by
        return "survived", ""

    def _module(self, path: str) -> ModuleType:
        module = import_module(name_of(path))
        if Path(str(module.__file__)) != self.root / path:
            raise RuntimeError(f"{module.__file__} is imported in place of {path}")
        return module


def all_caches() -> list[Any]:
    """Return every function that remembers what it returned."""
    return [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]


def exchange(module: ModuleType, source: str) -> None:
    """Give every function of a module the code and defaults that it has in another source of it.

    Raises:
        RuntimeError: if the other source has a function too many or too few.
    """
    other = ModuleType(module.__name__)
    other.__dict__.update(
        __file__=module.__file__, __package__=module.__package__, __path__=getattr(module, "__path__", None)
    )
    sys.modules[module.__name__] = other  # dataclasses look their module up
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
    """Make a function raise an error, whatever it is called with."""

    def spoilt(*_: object, **__: object) -> None:
        raise RuntimeError("this function was taken away")

    free = function.__code__.co_freevars
    function.__code__ = spoilt.__code__.replace(co_freevars=free) if free else spoilt.__code__


def functions(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Yield the functions and methods that a module defines, with what decorators wrapped taken out."""
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


def in_a_fork(whole: Callable[[], tuple[str, str]], limit: float) -> Outcome:
    """Call in a fork what returns a verdict and by whom; return it, or ``timeout`` after some seconds."""
    start = time.monotonic()
    answer, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answer)
        _child(whole, told)
    os.close(told)
    said = b""
    with os.fdopen(answer, "rb", buffering=0) as pipe:
        while (left := start + limit - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
            if not (more := pipe.read(2**16)):
                break
            said += more
        else:
            said = b"timeout\0no answer in time"
    _end(child)
    verdict, _, by = said.decode().partition("\0")
    return Outcome(verdict or "killed", by or "the process died", time.monotonic() - start)


def _end(child: int) -> None:
    try:
        os.killpg(child, signal.SIGKILL)  # a mutant may have left processes of its own
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _child(whole: Callable[[], tuple[str, str]], told: int) -> None:
    """Tell the verdict; never return."""
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        answer = "\0".join(whole()).encode()
    except BaseException as error:
        answer = f"killed\0{error!r}".encode()
    while answer:
        answer = answer[os.write(told, answer) :]
    os._exit(0)
