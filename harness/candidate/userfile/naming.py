"""``FILE.py[:FUNCTION]`` as the user typed it. The file is looked for; nothing is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.casefile import nearest
from harness.casefile.typed import word
from harness.terminal.text import encodable


class FileRefused(ValueError):
    """A user's file cannot be used; the text states the place, the reason, and what to do.

    Attributes:
        detail: the traceback from the user's file on, if there is one.
    """

    def __init__(self, problem: str, detail: str = "") -> None:
        super().__init__(problem)
        self.detail = detail


@dataclass(frozen=True)
class UserFile:
    """A file that exists, and the function to use.

    Attributes:
        shown: the file as the user named it; bytes of its name that are no text are written as escapes.
        path: where it is.
        function: the name of the function or implementation; empty for the only one of the file.
    """

    shown: str
    path: Path
    function: str


def named(text: str) -> UserFile:
    """Take apart ``FILE.py[:FUNCTION]``.

    Raises:
        FileRefused: if there is no such file, or it is none of Python's.
    """
    shown, function = text, ""
    if not Path(text).is_file() and ":" in text:
        shown, _, function = text.rpartition(":")
        if not function:
            raise FileRefused(f"{text}: a function's name should follow the colon, as in {shown}:my_bptt")
    path = Path(shown)
    if path.is_dir():
        raise FileRefused(f"{shown} is a folder, but should be a Python file; {_python_files(path)}")
    if path.exists() and not path.is_file():
        raise FileRefused(f"{shown} is no regular file, but should be a Python file")
    if not path.is_file():
        raise FileRefused(_missing(shown, path))
    if path.suffix == ".ipynb":
        raise FileRefused(f"{shown} is a notebook; `jupyter nbconvert --to script {shown}` makes a Python file of it")
    if path.suffix != ".py":
        raise FileRefused(f"{shown} should be a Python file, whose name ends in .py")
    return UserFile(encodable(shown), path.resolve(), function)


def _missing(shown: str, path: Path) -> str:
    from harness.case.loading import is_there  # only a mistake needs it

    if path.suffix != ".py" and is_there(shown):
        return f"{shown} is a case, and your Python file comes before it: harness check FILE.py {word(shown)}"
    return f"{shown}: there is no such file; {_alternative(path)}"


def _alternative(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    files = sorted(each.name for each in folder.glob("*.py"))
    hint = nearest(path.name, files) or nearest(f"{path.name}.py", files)
    if hint:
        return hint
    name = path if path.suffix == ".py" else path.with_name(f"{path.name}.py")
    return f"`harness new --implementation {word(str(name))}` writes one to begin with"


def _python_files(folder: Path) -> str:
    files = sorted(each.name for each in folder.glob("*.py"))
    return f"there are {', '.join(files[:5])} in it" if files else "there is none in it"
