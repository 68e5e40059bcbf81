"""Somebody's own implementation, tried out: run twice, watched, and what was noticed said in words."""

from harness.candidate.trial.trial import try_out

__all__ = ["try_out"]
