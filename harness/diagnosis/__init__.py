"""The diagnosis of wrong tensors: a catalogue of faults, and the search for those that give the same numbers."""

from harness.diagnosis.diagnosing import diagnose
from harness.diagnosis.evidence import InPart
from harness.diagnosis.explanation import NOT_FINITE, UNEXPLAINED, Diagnosis
from harness.diagnosis.faults import faults
from harness.diagnosis.predictions import Predictions
from harness.diagnosis.training import diagnose_training

__all__ = ["NOT_FINITE", "UNEXPLAINED", "Diagnosis", "InPart", "Predictions", "diagnose", "diagnose_training", "faults"]
