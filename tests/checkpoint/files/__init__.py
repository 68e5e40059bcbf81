"""An lstm of two layers in both directions, from 3 to 2, in every format; each written by its framework."""

from pathlib import Path

HERE = Path(__file__).parent
NUMBERS = HERE / "lstm.npz"
LAYERS = {"lstm.weights.h5": "layers/bidirectional,layers/bidirectional_1"}
"""The layers to choose in a file that does not say which of them reads which."""

FILES = sorted(path for path in HERE.glob("lstm.*") if ".data-" not in path.name)
