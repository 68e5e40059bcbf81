"""Bad files: case files, arrays, reports. None may crash or stall the harness.

``python -m benchmarks.bad_inputs`` tries ten thousand of them and prints its findings.
"""
