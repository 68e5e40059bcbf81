"""Somebody's own implementation, tried out: run twice, watched, and what was noticed said in words."""

from harness.candidate.trial.remark import Remark
from harness.candidate.trial.trial import Trial, try_out

__all__ = ["Remark", "Trial", "try_out"]
