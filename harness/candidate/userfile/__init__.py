"""A user's own Python file: named on the command line, imported in a process of its own, its implementation found."""

from harness.candidate.userfile.naming import FileRefused, UserFile, named

__all__ = ["FileRefused", "UserFile", "named"]
