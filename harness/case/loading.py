"""Find case files, name cases, and read them; report every mistake of every file at once.

Every file in a folder that looks like a case file is found. One that cannot be read is a mistake: if it were skipped in
silence, people would believe that it is checked.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from harness.case import validated
from harness.case.fields import ValidCase
from harness.case.library import CASES_FOLDER, library
from harness.casefile import ODD_IN_A_NAME, Mistake, MistakesFound, content, listed, nearest, visible
from harness.casefile.typed import word

if TYPE_CHECKING:
    from harness.case import sweep
    from harness.casefile import Document

SUFFIX = ".yaml"
MEANT = re.compile(r"\.ya?ml[\s.]*\Z", re.IGNORECASE)
"""Matches the end of a name that is meant as a case file's, also with blanks behind it or nothing before it."""

LOCK = ".#"
"""The beginning of the names of Emacs' locks: dangling links that exist while a file is edited."""

MAX_LISTED = 3
"""Maximum number of combinations that a message lists if the requested one does not exist."""

MOST_WRONG = 100
"""Maximum number of wrong cases of a sweep; the rest are not checked, since they mostly have the same mistakes."""


@dataclass
class Loaded:
    """The cases under the requested names.

    Attributes:
        cases: The valid cases, in the order of their files' names.
        mistakes: Every mistake in the others.
    """

    cases: list[ValidCase] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.mistakes


@dataclass(frozen=True)
class CaseFile:
    """A file that is meant as a case file, and the folder that its name is relative to.

    Attributes:
        path: The file; or a folder that cannot be listed.
        root: The folder that names are relative to.
        wrong: The problem and the hint, if it was found to be unreadable.
    """

    path: FilePath
    root: FilePath
    wrong: tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """The path as it can be printed."""
        return visible(str(self.path), ODD_IN_A_NAME)

    @property
    def name(self) -> str:
        """The path under the root, without ``.yaml``."""
        return self.path.relative_to(self.root).with_suffix("").as_posix()


def load(
    names: Iterable[str], implementations: Collection[str] | None = None, weights: Mapping[str, Any] | None = None
) -> Loaded:
    """Load cases.

    Args:
        names: Files, folders, or cases by name (``basic/tanh``); combinations of a sweep by brackets with some or all
            of their values, ``basic/sizes[dtype=float32]``. All of ``cases/`` where the user is if empty.
        implementations: The implementations that cases may name; None to skip this check.
        weights: A replacement for the cases' weights, such as a checkpoint.
    """
    loaded, loaded_names, without = Loaded(), set[str](), list[Mistake]()
    seen: dict[str, str] = {}
    for name in names or _default():
        try:
            files, combination = _files(name)
            if not files:
                without.append(Mistake(name, None, None, (), "there is no case file in this folder"))
            for file in files:
                found = read(file, implementations, weights)
                loaded.mistakes += [each for each in found.mistakes if each not in loaded.mistakes]
                by_combination = {case.name.removeprefix(file.name): case for case in found.cases}
                chosen = _chosen(by_combination, combination)
                if combination and found and not chosen:
                    problem = f"has no combination {combination}"
                    hint = (
                        nearest(combination, by_combination) or f"there are {', '.join([*by_combination][:MAX_LISTED])}"
                    )
                    loaded.mistakes.append(Mistake(visible(file.name, ODD_IN_A_NAME), None, None, (), problem, hint))
                for case in chosen:
                    first = seen.setdefault(case.name, case.file)
                    if not FilePath(first).samefile(case.file):
                        shown = visible(first, ODD_IN_A_NAME)
                        problem = f"would be the case {case.name}, as {shown} is; names count from the nearest folder"
                        hint = f"named {CASES_FOLDER}, so put both below one"
                        loaded.mistakes.append(Mistake(file.shown, None, None, (), problem, hint))
                    elif case.name not in loaded_names:
                        loaded_names.add(case.name)
                        loaded.cases.append(case)
        except MistakesFound as error:
            loaded.mistakes += error.mistakes
    if loaded.cases:  # otherwise no case was selected at all, which has a message of its own
        loaded.mistakes += without
    return loaded


def typed(case: ValidCase) -> str:
    """Return the text that a user types for a case: its name if that leads to it from here, else its file."""
    name, bracket, combination = case.name.partition("[")
    try:
        files, _ = _files(name)
    except MistakesFound:
        files = []
    leads_to_it = len(files) == 1 and files[0].path.absolute() == FilePath(case.file).absolute()
    return case.name if leads_to_it else f"{case.file}{bracket}{combination}"


def find(folder: FilePath) -> list[CaseFile]:
    """Return all files below a folder that are meant as case files, in the order of their paths.

    Links to folders are followed, to each folder once. The list also has folders that cannot be listed, and links to a
    folder that contains them.
    """
    root, found, seen = root_of(folder), [], set[_Identity]()
    waiting: list[tuple[FilePath, tuple[_Identity, ...]]] = [(folder, tuple(_above(folder)))]
    links = waiting[:0]
    while waiting or links:
        inside, above = waiting.pop() if waiting else links.pop(0)
        try:
            identity = _identity(inside)
            if identity in above:
                wrong = "is a link to a folder that it lies in, and would never end", "remove the link"
                found.append(CaseFile(inside, root, wrong))
                continue
            if identity in seen:  # its cases are listed already, by a path without links if one exists
                continue
            seen.add(identity)
            with os.scandir(inside) as entries:
                there = list(entries)
        except OSError as error:
            wrong = f"cannot be looked into: {error.strerror}", "chmod u+rx makes a folder readable"
            found.append(CaseFile(inside, root, wrong))
            continue
        for entry in there:
            path = inside / entry.name
            if _is_folder(path):
                (links if entry.is_symlink() else waiting).append((path, (*above, identity)))
            elif _is_meant(path):
                found.append(CaseFile(path, root))
    return sorted(found, key=lambda each: each.path)


def _chosen(by_combination: Mapping[str, ValidCase], combination: str | None) -> list[ValidCase]:
    """Return the cases of the very combination, else those with all of its values in any order."""
    if combination is None or combination in by_combination:
        return [case for each, case in by_combination.items() if combination in (None, each)]
    wanted = _values(combination)
    return [case for each, case in by_combination.items() if wanted and wanted <= _values(each)]


def _values(combination: str) -> set[str]:
    """Return ``dtype=float32`` and so on; a comma inside brackets is part of a value."""
    return {each.strip() for each in re.split(r",(?![^\[]*\])", combination[1:-1]) if each.strip()}


_Identity = tuple[int, int]


def _identity(path: FilePath) -> _Identity:
    status = path.stat()
    return status.st_dev, status.st_ino


def _above(folder: FilePath) -> Iterator[_Identity]:
    """Yield each folder that contains a folder; links to these lead back to it."""
    for each in folder.absolute().parents:
        with suppress(OSError):
            yield _identity(each)
    with suppress(OSError):
        for each in folder.resolve().parents:
            yield _identity(each)


def _is_meant(path: FilePath) -> bool:
    """Return whether a path that is no folder is meant as a case file, or is a link to a missing folder."""
    if path.name.startswith(LOCK):
        return False
    if MEANT.search(path.name):
        return True
    try:
        path.stat()
    except OSError:
        return not path.suffix and path.is_symlink()
    return False


def root_of(path: FilePath) -> FilePath:
    """Return the folder that names of cases at ``path`` are relative to: the nearest ``cases``, else its own."""
    folder = path if _is_folder(path) else path.parent
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
    loaded = Loaded()
    try:
        _check(file)
        text = content(file.path)
        key = validated.key(text, file.name, str(file.path)) if weights is None else ""
        if (before := validated.recalled(key)) is not None:
            loaded.cases = before
            return loaded
        from harness.case import sweep  # with a parser, which only a new file needs
        from harness.casefile import parse

        document = parse(text, file.shown)
        if not isinstance(document.data, dict):
            raise MistakesFound([document.mistake((), "a case file should be a mapping of keys", "such as sizes: ...")])
        wrong = 0
        for position, combination in enumerate(sweep.combinations(document)):
            case, mistakes = _case(file, document, combination, implementations, weights)
            loaded.mistakes += [each for each in mistakes if each not in loaded.mistakes]
            if case is not None:
                loaded.cases.append(replace(case, leads_sweep=position == 0))
            wrong += case is None
            if wrong == MOST_WRONG:
                break
        if loaded:
            validated.keep(key, document.data, loaded.cases)
    except MistakesFound as error:
        loaded.mistakes += error.mistakes
    return loaded


def _check(file: CaseFile) -> None:
    """Check that a file can be a case file, by its name.

    Raises:
        MistakesFound: If it cannot.
    """
    wrong, path = file.wrong, file.path
    if wrong is None and path.suffix == ".py":
        wrong = f"is a Python file, but a case file ends in {SUFFIX}", f"harness check {word(str(path))} checks it"
    elif wrong is None and path.suffix != SUFFIX and (ending := MEANT.search(path.name)):
        bare, own = path.name[: ending.start()], ending[0]
        problem = f"ends in {own if own.strip() == own else repr(own)}, but a case file ends in {SUFFIX}"
        if not bare:
            problem = f"has no name before {own.strip()}"
        wrong = problem, f"rename it to {bare or 'NAME'}{SUFFIX}"
    elif wrong is None and ODD_IN_A_NAME.search(file.name):
        wrong = "its name is not UTF-8, or has a control character or a line break", "rename it"
    if wrong is not None:
        problem, hint = wrong
        raise MistakesFound([Mistake(file.shown, None, None, (), problem, visible(hint, ODD_IN_A_NAME))])


def _case(
    file: CaseFile,
    document: Document,
    combination: sweep.Combination,
    implementations: Collection[str] | None,
    weights: Mapping[str, Any] | None,
) -> tuple[ValidCase | None, list[Mistake]]:
    from harness.case import published, validation  # imports pydantic, which only reading a case needs

    def located(path: tuple[str | int, ...], problem: str, hint: str = "", *, at_key: bool = False) -> Mistake:
        return combination.locate(document, path, problem, hint, at_key=at_key)

    name = file.name + combination.suffix
    case, mistakes = validation.validated(combination.data, name, file.path, located, weights)
    if case is not None and case.published is not None:
        # The file, and not the number, has the digits with which it was written.
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
    """Return the files that a user's argument means, and the combination that it chooses, if any."""
    name = os.fspath(name)
    splits = [each.start() for each in re.finditer(r"\[", name)] if name.endswith("]") else []
    meant: list[tuple[str, str | None]] = [(name, None), *((name[:at], name[at:]) for at in splits)]
    empty: tuple[list[CaseFile], str | None] | None = None
    for text, combination in meant:
        for candidate in _candidates(FilePath(text)):
            if _is_folder(candidate):
                found = find(candidate)
            elif _is_there(candidate):
                found = [CaseFile(candidate, root_of(candidate))]
            else:
                continue
            if found:
                return found, combination
            empty = [], combination  # a folder of something else may have the name of cases
    if empty is not None:
        return empty
    known = [file.name for folder in _folders() for file in find(folder) if file.path.suffix == SUFFIX]
    problem = "there is no such file, folder or case"
    hint = _nearest_case(name, known) or "`harness list cases` shows what there is"
    raise MistakesFound([Mistake(visible(name, ODD_IN_A_NAME), None, None, (), problem, hint)])


def is_there(name: str) -> bool:
    """Return whether a user's argument means a file, a folder or a case."""
    try:
        return bool(_files(name)[0])
    except MistakesFound:
        return False


def _nearest_case(name: str, known: Collection[str]) -> str:
    """Return ``did you mean 'cells/gru'?`` for ``gru``, ``cell/gru`` and ``cases/cells/gru.yml``."""
    wanted = MEANT.sub("", name).removeprefix(f"{CASES_FOLDER}/")
    in_folders = [repr(each) for each in dict.fromkeys(known) if each == wanted or each.endswith(f"/{wanted}")]
    return f"did you mean {listed(in_folders[:MAX_LISTED])}?" if in_folders else nearest(wanted, known)


def _default() -> list[str]:
    """Return the folder that is loaded by default: the user's folder of cases, even if it cannot be listed."""
    folder = FilePath(CASES_FOLDER)
    return [CASES_FOLDER] if _is_folder(folder) or folder.is_symlink() else []


def _is_folder(path: FilePath) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _is_there(path: FilePath) -> bool:
    """Return whether a path exists, even as a dangling link, or may exist where access is denied."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _candidates(path: FilePath) -> Iterator[FilePath]:
    yield path
    if path.suffix != SUFFIX:
        yield path.with_name(path.name + SUFFIX) if path.name else path
    for folder in _folders():
        yield folder / path
        yield folder / f"{path}{SUFFIX}"


def _folders() -> list[FilePath]:
    """Return the folders to search for cases by name: ``cases`` here, then the library."""
    return [folder for folder in (FilePath(CASES_FOLDER), library()) if _is_folder(folder)]
