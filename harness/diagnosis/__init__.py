"""What the numbers say the fault is: an implementation's tensors held against what a catalogue of faults would give."""

from harness.diagnosis.diagnosing import diagnose
from harness.diagnosis.explanation import NOT_FINITE, UNEXPLAINED, Diagnosis
from harness.diagnosis.faults import faults
from harness.diagnosis.predictions import Predictions
from harness.diagnosis.training import diagnose_training

__all__ = ["NOT_FINITE", "UNEXPLAINED", "Diagnosis", "Predictions", "diagnose", "diagnose_training", "faults"]
