"""Reports: the findings of a run as tables and pages in a folder, and read back from there."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.report.folder import check, write
    from harness.report.kept import Keeper
    from harness.report.manifest import NotAReport
    from harness.report.reading import read
    from harness.report.report import Report, of_run

__all__ = ["Keeper", "NotAReport", "Report", "check", "of_run", "read", "write"]

__getattr__ = by_module(
    __name__,
    {
        "folder": (
            "check",
            "write",
        ),
        "kept": ("Keeper",),
        "manifest": ("NotAReport",),
        "reading": ("read",),
        "report": (
            "Report",
            "of_run",
        ),
    },
)
