"""Case files as text: YAML in, plain data with positions out."""

from harness.casefile.document import Document, parse
from harness.casefile.mistakes import Mistake, MistakesFound, Path, dotted, listed, nearest

__all__ = ["Document", "Mistake", "MistakesFound", "Path", "dotted", "listed", "nearest", "parse"]
