"""The base of all sides. Their methods that read, compute and write run in their framework's process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from harness.checkpoint import Recurrent, TensorFile
from harness.checkpoint.naming import Block, namings
from harness.implementations import Framework, Returned, implementations
from harness.problem import Problem
from harness.tensors import Structure


@dataclass(frozen=True)
class File:
    """A file, in a question to the process that reads it.

    Attributes:
        path: the file.
        tensor_files: the files that have the tensors, each with its format; ``path`` alone, but for shards.
        layout: of its tensors.
        block: the cell and sizes of its first layer.
        names: for each layer and direction the file's names of its tensors, by role.
        forget_bias: the bias that an lstm adds to its forget gate at run time.
        objects: for each layer of a whole model, the names of the models around it and its own; empty for weights
            alone.
        ours: whether the harness wrote it, so that it has only these layers.
    """

    path: Path
    tensor_files: tuple[TensorFile, ...]
    layout: str
    block: Block
    names: tuple[tuple[int, bool | None, Mapping[str, str]], ...]
    forget_bias: float | None
    objects: tuple[tuple[str, ...], ...]
    ours: bool

    @staticmethod
    def of(path: Path, layers: Recurrent, ours: bool) -> File:
        """Return the layers in a file as a question to a process."""
        names = tuple((n, reverse, dict(each)) for (n, reverse), each in layers.names.items())
        tensor_files = tuple(TensorFile(each.path.absolute(), each.format) for each in layers.tensor_files)
        objects = tuple(each.names for each in layers.said)
        bias = layers.cell.forget_bias
        return File(path.absolute(), tensor_files, layers.layout, layers.block, names, bias, objects, ours)

    def to_plain(self) -> dict[str, Any]:
        """Return it in a form for JSON."""
        return {
            **vars(self),
            "path": str(self.path),
            "tensor_files": [[str(each.path), each.format] for each in self.tensor_files],
            "block": asdict(self.block),
            "names": [list(each) for each in self.names],
            "objects": [list(each) for each in self.objects],
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> File:
        """Return the file that ``to_plain`` was called on."""
        parsed = {
            "path": Path(plain["path"]),
            "tensor_files": tuple(TensorFile(Path(path), format_name) for path, format_name in plain["tensor_files"]),
            "block": Block(**plain["block"]),
            "names": tuple((n, reverse, dict(each)) for n, reverse, each in plain["names"]),
            "objects": tuple(map(tuple, plain["objects"])),
        }
        return File(**{**plain, **parsed})


class Side(ABC):
    """A framework that reads weights, computes with them, and writes them.

    Attributes:
        name: its own; the process is started by it.
        to: its name behind ``--to``; empty for one that only reads.
        layout: its layout.
        framework: the framework; its process reads, computes and writes.
        implementation: the name of the implementation that computes.
        endings: the possible endings of its files' names; messages show the first.
    """

    name: str
    to: str
    layout: str
    framework: Framework
    implementation: str
    endings: tuple[str, ...]

    def why_not(self, structure: Structure, activation: str) -> str:
        """Return why the framework cannot represent a network; empty if it can."""
        del structure, activation
        return ""

    def settled(self, weights: Mapping[str, ndarray]) -> dict[str, ndarray]:
        """Return weights of the layout in the file's form, if the layout leaves a choice."""
        return dict(weights)

    def arrays(self, file: TensorFile) -> Mapping[str, ndarray]:
        """Read every tensor of a file by the framework's own reader, or by NumPy's or safetensors'."""
        if file.format == "npz":
            return dict(np.load(file.path, allow_pickle=False))
        if file.format == "safetensors":
            from safetensors.numpy import load_file

            return load_file(file.path)
        raise ValueError(f"{self.name} does not read files of {file.format}")

    @abstractmethod
    def write(self, path: Path, weights: Mapping[str, ndarray], structure: Structure, activation: str) -> None:
        """Write a file.

        Args:
            path: the file.
            weights: in the layout.
            structure: the network; its batch and time do not matter.
            activation: of an rnn.
        """

    def written(self, path: Path) -> tuple[Path, ...]:
        """Return the files after ``write``, the one last that makes the others usable."""
        return (path,)

    def layer_in(self, path: Path, structure: Structure) -> str | None:
        """Return the names of a written file's layers, if the file does not show that they are a stack."""
        del path, structure
        return None

    def returned(self, file: File, problem: Problem) -> Returned:
        """Read a file by the framework, and compute with its weights, without the problem's own."""
        return implementations()[self.implementation].function(self.filled(file, problem))

    def filled(self, file: File, problem: Problem) -> Problem:
        """Return a problem with the weights that the framework reads from a file, in the layout."""
        read: dict[str, ndarray] = {}
        for each in file.tensor_files:
            read |= self.arrays(each)
        naming, weights = namings()[self.layout], dict[str, ndarray]()
        for n, reverse, names in file.names:
            own = {role: np.asarray(read[name]).astype(problem.case.dtype) for role, name in names.items()}
            weights |= naming.named(n, reverse, file.block, own, problem.case.dtype)
        return replace(problem, weights=weights, layout=self.layout)


def merged(first: ndarray, second: ndarray, added: int) -> tuple[ndarray, ndarray]:
    """Return two biases with the sum of their first ``added`` elements in the first, where only the sum matters."""
    both = first.copy(), second.copy()  # (G·H,) each
    both[0][:added] += both[1][:added]
    both[1][:added] = 0
    return both
