"""The diagnosis of wrong tensors: a catalogue of faults, and the search for those that give the same numbers."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.diagnosis.diagnosing import diagnose
    from harness.diagnosis.evidence import InPart
    from harness.diagnosis.explanation import NOT_FINITE, UNEXPLAINED, Diagnosis
    from harness.diagnosis.predictions import Predictions
    from harness.diagnosis.training import diagnose_training

__all__ = ["NOT_FINITE", "UNEXPLAINED", "Diagnosis", "InPart", "Predictions", "diagnose", "diagnose_training"]

__getattr__ = by_module(
    __name__,
    {
        "diagnosing": ("diagnose",),
        "evidence": ("InPart",),
        "explanation": (
            "NOT_FINITE",
            "UNEXPLAINED",
            "Diagnosis",
        ),
        "predictions": ("Predictions",),
        "training": ("diagnose_training",),
    },
)
