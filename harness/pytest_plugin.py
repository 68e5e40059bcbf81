"""The pytest plugin under its earlier name; it is ``bptt_harness_plugin``."""

from __future__ import annotations

import sys

import bptt_harness_plugin

sys.modules[__name__] = bptt_harness_plugin
