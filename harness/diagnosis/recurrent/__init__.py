"""A diagnosis for any recurrence: rules of its derived reverse pass, each of which can be broken."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.diagnosis.recurrent.explaining import Explainer

__all__ = ["Explainer"]

__getattr__ = by_module(__name__, {"explaining": ("Explainer",)})
