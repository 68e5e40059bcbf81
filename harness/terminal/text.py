"""Text from elsewhere, made fit to be sent, stored and shown: encodable and of limited length."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

LONGEST = 10_000
"""Maximum characters of a text that are kept."""

LONGEST_NAME = 200
"""Maximum characters of a name that are kept."""


def encodable(text: str) -> str:
    r"""Return a text with each lone surrogate written as an escape, such as ``\udcff``, for files cannot contain it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def fit(text: str, most: int = LONGEST) -> str:
    """Return an encodable text of about ``most`` characters: its beginning, its end, and the number left out."""
    if len(text) > most:
        half = most // 2
        text = f"{text[:half]} … ({len(text) - 2 * half:,} characters left out) … {text[-half:]}"
    return encodable(text)


def line_of(error: BaseException) -> str:
    """Return an exception in one fit line, without the notes that were added to it."""
    said = traceback.TracebackException(type(error), error, None)
    said.__notes__ = None
    return fit(" ".join(list(said.format_exception_only())[-1].split()))


def fit_throughout(value: Any) -> Any:
    """Return plain data with every text in it fit, keys included; what is neither text nor container is unchanged."""
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, Mapping):
        return {fit(key) if isinstance(key, str) else key: fit_throughout(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [fit_throughout(each) for each in value]
    return value
