"""Reports: what a run found, as files."""

from harness.report.folder import NotAReport, check, write

__all__ = ["NotAReport", "check", "write"]
