"""``harness.torch`` where torch is not installed: the message has the command that installs it."""

import sys

import pytest

import harness


def test_the_message_says_what_is_missing_and_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # an import then fails
    monkeypatch.delitem(sys.modules, "harness.torch", raising=False)
    monkeypatch.delitem(vars(harness), "torch", raising=False)
    with pytest.raises(
        ModuleNotFoundError, match=r"needs torch, which is not installed; pip install 'bptt-harness\[torch\]'"
    ):
        harness.torch  # noqa: B018
