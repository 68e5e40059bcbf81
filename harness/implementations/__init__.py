"""Implementations: ways to compute loss, outputs and gradients of a problem. A new one is one new file here."""

from harness.implementations.base import (
    ANY,
    NUMPY,
    Framework,
    Implementation,
    Partial,
    Promise,
    Returned,
    Unsupported,
    implementation,
)
from harness.implementations.discovery import implementations, initialisers, install_line, missing_modules

__all__ = [
    "ANY",
    "NUMPY",
    "Framework",
    "Implementation",
    "Partial",
    "Promise",
    "Returned",
    "Unsupported",
    "implementation",
    "implementations",
    "initialisers",
    "install_line",
    "missing_modules",
]
