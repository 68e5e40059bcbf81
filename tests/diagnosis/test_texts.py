"""The words in which each fault is named, on the first case that shows it."""

import numpy as np
import pytest

from harness.diagnosis import diagnose
from harness.diagnosis.faults import faults
from harness.diagnosis.tensor_faults import TENSOR_FAULTS, Subject

from .conftest import CASES, WRAPPED, committed, predictions_of


def test_the_words_for_each_fault(snapshot):
    said = {}
    for case in {**CASES, **WRAPPED}:
        predictions = predictions_of(case)
        for (suspect,) in (each.suspects for each in predictions.singles()):
            if suspect.name not in said and suspect.layer is None:
                found = diagnose(committed(predictions.problem, suspect), predictions)
                said[suspect.name] = next(each.explanation for each in found if each.fault == suspect.name)
    assert len(said) > 0.95 * len(faults())
    assert said == snapshot


@pytest.mark.slow
def test_the_words_for_each_fault_of_one_tensor(snapshot):
    said = {}
    for case in ("square", "lstm"):
        predictions = predictions_of(case)
        for name, (_, candidates) in TENSOR_FAULTS.items():
            for candidate in candidates(Subject("layer0.W_hh", predictions.truth, predictions.problem)):
                spoilt = {**predictions.truth, "layer0.W_hh": np.array(candidate.predicted)}
                named = [each for each in diagnose(spoilt, predictions) if each.fault == name]
                if named:
                    said.setdefault(name, named[0].explanation)
    assert len(said) > 0.5 * len(TENSOR_FAULTS)
    assert said == snapshot
