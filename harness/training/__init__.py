"""Training: a loop with each implementation's own gradients, and the rounding noise of its results."""

from typing import TYPE_CHECKING

from harness.deferred import by_module

if TYPE_CHECKING:
    from harness.training.loop import Trained, train
    from harness.training.noise import noise_of
    from harness.training.rules import Rules
    from harness.training.running import TrainingFailed, run, with_training

__all__ = ["Rules", "Trained", "TrainingFailed", "noise_of", "run", "train", "with_training"]

__getattr__ = by_module(
    __name__,
    {
        "loop": (
            "Trained",
            "train",
        ),
        "noise": ("noise_of",),
        "rules": ("Rules",),
        "running": (
            "TrainingFailed",
            "run",
            "with_training",
        ),
    },
)
