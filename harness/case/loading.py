"""Finding case files, naming cases, and reading them: every mistake of every file at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from harness.case import published, sweep
from harness.case.fields import Case
from harness.casefile import Document, Mistake, MistakesFound, nearest, parse

CASES_FOLDER = "cases"
SUFFIX = ".yaml"
MAX_TOLD = 3
"""Combinations that are told where one that is asked for is not there."""

MOST_WRONG = 100
"""Cases of a sweep that may have mistakes before the others are not looked at: they are mostly the same mistakes."""

_SELECTION = re.compile(r"(?P<file>.*?)(?P<combination>\[.*\])\Z", re.DOTALL)


@dataclass
class Loaded:
    """What was found under the names that were asked for.

    Attributes:
        cases: the valid cases, in the order of their files' names.
        mistakes: every mistake in the others.
    """

    cases: list[Case] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.mistakes


@dataclass(frozen=True)
class CaseFile:
    """A case file, and the folder that its name counts from."""

    path: FilePath
    root: FilePath

    @property
    def name(self) -> str:
        """The path under the root, without ``.yaml``."""
        return self.path.relative_to(self.root).with_suffix("").as_posix()


def load(
    names: Iterable[str], implementations: Collection[str] | None = None, weights: Mapping[str, Any] | None = None
) -> Loaded:
    """Load cases.

    Args:
        names: files, folders, or cases by name (``basic/tanh``); a combination of a sweep by its brackets,
            ``basic/sizes[dtype=float32]``. All of ``cases/`` if there are none.
        implementations: the implementations that cases may name, if that is to be checked.
        weights: what takes the place of their weights, a checkpoint for one.
    """
    loaded, loaded_names, without = Loaded(), set[str](), list[Mistake]()
    seen: dict[str, str] = {}
    for name in names or ([CASES_FOLDER] if FilePath(CASES_FOLDER).is_dir() else []):
        try:
            files, combination = _files(name)
            if not files:
                without.append(Mistake(name, None, None, (), "there is no case file in this folder"))
            for file in files:
                found = read(file, implementations, weights)
                loaded.mistakes += [each for each in found.mistakes if each not in loaded.mistakes]
                chosen = [case for case in found.cases if combination in (None, case.name.removeprefix(file.name))]
                if combination and found and not chosen:
                    known = [case.name.removeprefix(file.name) for case in found.cases]
                    problem = f"has no combination {combination}"
                    hint = nearest(combination, known) or f"there are {', '.join(known[:MAX_TOLD])}"
                    loaded.mistakes.append(Mistake(str(file.path), None, None, (), problem, hint))
                for case in chosen:
                    first = seen.setdefault(case.name, case.file)
                    if not FilePath(first).samefile(case.file):
                        problem = f"would be the case {case.name}, as {first} is; names count from the nearest folder"
                        hint = f"named {CASES_FOLDER}, so put both below one"
                        loaded.mistakes.append(Mistake(case.file, None, None, (), problem, hint))
                    elif case.name not in loaded_names:
                        loaded_names.add(case.name)
                        loaded.cases.append(case)
        except MistakesFound as error:
            loaded.mistakes += error.mistakes
    if loaded.cases:  # else nothing at all was selected, which is said as that
        loaded.mistakes += without
    return loaded


def find(folder: FilePath) -> list[CaseFile]:
    """Return every case file below a folder, in the order of their names."""
    root = root_of(folder)
    return [CaseFile(path, root) for path in sorted(folder.rglob(f"*{SUFFIX}")) if path.is_file()]


def root_of(path: FilePath) -> FilePath:
    """Return the folder that names of cases at ``path`` count from: the nearest one named ``cases``, else its own."""
    folder = path if path.is_dir() else path.parent
    absolute = folder.absolute()
    for depth, above in enumerate((absolute, *absolute.parents)):
        if above.name == CASES_FOLDER:
            # The same folder, written as the user wrote it.
            return folder if depth == 0 else FilePath(*folder.parts[:-depth]) if depth < len(folder.parts) else above
    return folder


def read(
    file: CaseFile, implementations: Collection[str] | None = None, weights: Mapping[str, Any] | None = None
) -> Loaded:
    """Read one file: its case, or the cases of its sweep, or its mistakes."""
    shown = str(file.path)
    loaded = Loaded()
    try:
        document = parse(file.path.read_bytes(), shown)
        if not isinstance(document.data, dict):
            raise MistakesFound([document.mistake((), "a case file should be a mapping of keys", "such as sizes: ...")])
        wrong = 0
        for position, combination in enumerate(sweep.combinations(document)):
            case, mistakes = _case(file, shown, document, combination, implementations, weights)
            loaded.mistakes += [each for each in mistakes if each not in loaded.mistakes]
            if case is not None:
                loaded.cases.append(replace(case, leads_sweep=position == 0))
            wrong += case is None
            if wrong == MOST_WRONG:
                break
    except MistakesFound as error:
        loaded.mistakes += error.mistakes
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        loaded.mistakes.append(Mistake(shown, None, None, (), problem))
    return loaded


def _case(
    file: CaseFile,
    shown: str,
    document: Document,
    combination: sweep.Combination,
    implementations: Collection[str] | None,
    weights: Mapping[str, Any] | None,
) -> tuple[Case | None, list[Mistake]]:
    from harness.case import validation  # imports pydantic, which only reading a case needs

    def located(path: tuple[str | int, ...], problem: str, hint: str = "", *, at_key: bool = False) -> Mistake:
        return combination.locate(document, path, problem, hint, at_key=at_key)

    name = file.name + combination.suffix
    case, mistakes = validation.validated(combination.data, name, file.path, shown, located, weights)
    if case is not None and case.published is not None:
        # A number does not know with how many digits it was written; the file does.
        units = published.half_units(case.published, lambda path: combination.text(document, path))
        case = replace(case, half_units=units)
    if case is not None and implementations is not None:
        for position, name in enumerate(case.implementations or ()):
            if name not in implementations and len(mistakes) < validation.MOST_MISTAKES:
                hint = nearest(name, implementations) or "`harness list implementations` shows what there is"
                mistakes.append(located(("implementations", position), f"there is no implementation {name!r}", hint))
        if mistakes:
            case = None
    return case, mistakes


def _files(name: str) -> tuple[list[CaseFile], str | None]:
    """Resolve what the user typed to files, and to the combination chosen if there is one."""
    combination = None
    path = FilePath(name)
    if not path.exists() and (selected := _SELECTION.match(name)):
        combination = selected["combination"]
        path = FilePath(selected["file"])
    for candidate in _candidates(path):
        if candidate.is_dir():
            return find(candidate), combination
        if candidate.is_file():
            return [CaseFile(candidate, root_of(candidate))], combination
    known = [file.name for folder in _folders() for file in find(folder)]
    problem = "there is no such file, folder or case"
    hint = nearest(name, known) or "`harness list cases` shows what there is"
    raise MistakesFound([Mistake(name, None, None, (), problem, hint)])


def _candidates(path: FilePath) -> Iterator[FilePath]:
    yield path
    if path.suffix != SUFFIX:
        yield path.with_name(path.name + SUFFIX) if path.name else path
    for folder in _folders():
        yield folder / path
        yield folder / f"{path}{SUFFIX}"


def _folders() -> list[FilePath]:
    """Return where cases are looked for by name: in ``cases`` here, then in those of the harness's own clone."""
    own = FilePath(__file__).parents[2] / CASES_FOLDER
    return [folder for folder in (FilePath(CASES_FOLDER), own) if folder.is_dir()]
