"""The trial of a user's implementation: run twice, watched, and described in remarks."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.candidate.trial.trial import try_out

__all__ = ["try_out"]

__getattr__ = by_module(__name__, {"trial": ("try_out",)})
