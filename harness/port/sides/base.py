"""What a side does. Its methods that read, compute and write run in its framework's process."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from harness.checkpoint import Recurrent
from harness.checkpoint.naming import Block, namings
from harness.implementations import Framework, Returned, implementations
from harness.problem import Problem
from harness.tensors import Structure


@dataclass(frozen=True)
class File:
    """A file, as the process that is to read it is told of it.

    Attributes:
        path: the file.
        layout: of its tensors.
        block: the cell and sizes of its first layer.
        names: for each layer and direction the file's names of its tensors, by role.
        ours: whether the harness wrote it, so that it is nothing but these layers.
    """

    path: Path
    layout: str
    block: Block
    names: tuple[tuple[int, bool | None, Mapping[str, str]], ...]
    ours: bool

    @staticmethod
    def of(path: Path, layers: Recurrent, ours: bool) -> File:
        """Return what is to be told of layers in a file."""
        names = tuple((n, reverse, dict(each)) for (n, reverse), each in layers.names.items())
        return File(path.absolute(), layers.layout, layers.block, names, ours)

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {**vars(self), "path": str(self.path), "block": vars(self.block), "names": [list(e) for e in self.names]}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> File:
        """Return the file that ``to_plain`` was called on."""
        names = tuple((n, reverse, dict(each)) for n, reverse, each in plain["names"])
        return File(Path(plain["path"]), plain["layout"], Block(**plain["block"]), names, plain["ours"])


class Side(ABC):
    """A framework that reads weights, computes with them, and writes them.

    Attributes:
        to: what it is called behind ``--to``.
        layout: its layout.
        framework: whose process reads, computes and writes.
        implementation: the name of the implementation that computes.
        endings: how the names of the files that it writes may end; the first is what is told.
    """

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
        """Return weights of the layout as a file is to have them, where the layout leaves a choice."""
        return dict(weights)

    @abstractmethod
    def arrays(self, path: Path) -> Mapping[str, ndarray]:
        """Read every tensor of a file by the framework's own reader."""

    @abstractmethod
    def write(self, path: Path, weights: Mapping[str, ndarray], structure: Structure, activation: str) -> None:
        """Write a file.

        Args:
            path: where to.
            weights: in the layout.
            structure: the network; its batch and time do not matter.
            activation: of an rnn.
        """

    def written(self, path: Path) -> tuple[Path, ...]:
        """Return the files that are there after ``write``, the one last without which the others are none."""
        return (path,)

    def returned(self, file: File, problem: Problem) -> Returned:
        """Read a file by the framework, and compute with what was read; the problem's weights are not looked at."""
        read = self.arrays(file.path)
        naming, weights = namings()[self.layout], dict[str, ndarray]()
        for n, reverse, names in file.names:
            own = {role: np.asarray(read[name]).astype(problem.case.dtype) for role, name in names.items()}
            weights |= naming.named(n, reverse, file.block, own, problem.case.dtype)
        return implementations()[self.implementation].function(replace(problem, weights=weights, layout=self.layout))


def merged(first: ndarray, second: ndarray, added: int) -> tuple[ndarray, ndarray]:
    """Return two biases of which the first ``added`` elements are only ever added, with all of those in the first."""
    both = first.copy(), second.copy()  # (G·H,) each
    both[0][:added] += both[1][:added]
    both[1][:added] = 0
    return both
