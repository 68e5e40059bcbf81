"""Files that are not what they should be: case files, arrays beside them, reports. None may crash or stall the harness.

``python -m benchmarks.bad_inputs`` tries ten thousand and says what it found.
"""
