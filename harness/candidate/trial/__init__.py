"""The trial of a user's implementation: run twice, watched, and described in remarks."""

from harness.candidate.trial.trial import try_out

__all__ = ["try_out"]
