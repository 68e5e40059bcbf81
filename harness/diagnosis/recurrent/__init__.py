"""A diagnosis for any recurrence: rules of its derived reverse pass, each of which can be broken."""

from harness.diagnosis.recurrent.explaining import Explainer
from harness.diagnosis.recurrent.sight import TooLargeError, sight

__all__ = ["Explainer", "TooLargeError", "sight"]
