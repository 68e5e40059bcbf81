"""``certified`` beside the others: what it finds wrong, and that only its own process imports its library."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.framework


def test_wrong_gradients_are_found_and_right_ones_match(harness):
    wrong = "off_by_a_millionth,transposed,swapped_layers,all_zero"
    done = harness("run", "--impl", f"numpy-concat,complex-step,{wrong}", "--baseline", "certified", "--json")
    assert done.returncode == 1, done.stderr
    found = {each["implementation"]: each["verdict"] for each in json.loads(done.stdout)["results"]}
    assert found == {"numpy-concat": "match", "complex-step": "match", **dict.fromkeys(wrong.split(","), "mismatch")}


def test_the_harness_itself_does_not_import_it():
    script = (
        "import sys, harness.cli, harness.execution.session, harness.api\n"
        "from harness.implementations import implementations\n"
        "assert 'certified' in implementations()\n"
        "sys.exit('flint' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
