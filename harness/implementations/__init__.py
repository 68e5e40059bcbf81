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
from harness.implementations.discovery import (
    ImplementationNames,
    implementation_named,
    implementations,
    initialisers,
    install_line,
    is_taken,
    missing_modules,
)

__all__ = [
    "ANY",
    "NUMPY",
    "Framework",
    "Implementation",
    "ImplementationNames",
    "Partial",
    "Promise",
    "Returned",
    "Unsupported",
    "implementation",
    "implementation_named",
    "implementations",
    "initialisers",
    "install_line",
    "is_taken",
    "missing_modules",
]
