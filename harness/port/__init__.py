"""Recurrent weights from one framework's file to another's, and the proof that both compute the same."""

from harness.port.plan import Plan, planned
from harness.port.porting import Ported, ProofFailed, port
from harness.port.sides import Side, sides

__all__ = ["Plan", "Ported", "ProofFailed", "Side", "planned", "port", "sides"]
