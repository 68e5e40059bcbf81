"""Plain data with random changes: any value and any key, anywhere."""

from __future__ import annotations

import copy
import random
from typing import Any

ODD = (
    None,
    True,
    0,
    -1,
    1,
    2,
    10**6,
    10**12,
    10**30,
    10**399,
    2**63,
    -(2**63) - 1,
    1.5,
    -0.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    -float("inf"),
    "",
    "x",
    "no",
    "1e-7",
    "nan",
    "../../../etc/passwd",
    "/dev/zero",
    "link.npz",
    "bomb.npz",
    "pickled.npz",
    "huge.npz",
    "pipe.npz",
    "inside",
    "a\x00b",
    "=1+1",
    "\x1b[2J",
    "'; reboot; '",
    "\ud7ff\U0010ffff",
    "x" * 100_000,
    "[" * 1000,
    [],
    {},
    [[]],
    [None],
    [1, 2],
    [0] * 10_000,
    {"": ""},
    {"kind": "detach"},
    {"fill": 1},
    {"uniform": [1, 0]},
    {"normal": -1.0},
    {"values": [[[1.0]]]},
    {"one_hot": [[9]]},
    {"file": "good.npz", "key": "a"},
    {"file": "bomb.npz", "key": "a"},
    {"file": "pickled.npz", "key": "a"},
    {"file": "huge.npz", "key": "a"},
    {"file": "pipe.npz", "key": "a"},
    {"file": "link.npz", "key": "a"},
    {"file": "../outside.npz", "key": "a"},
    {"from": "torch", "seed": 10**30},
    {"steps": 10**12, "optimizer": {"sgd": {"lr": 1.0}}},
    {"source": "x", "gradients": [{"tensor": "layer0.W_xh", "values": [[1]]}]},
)
"""Values that replace others."""


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a tree, including that of the whole tree, ()."""
    found = [path]
    if isinstance(tree, dict):
        for key, value in tree.items():
            found += places(value, (*path, key))
    elif isinstance(tree, list):
        for position, value in enumerate(tree[:20]):
            found += places(value, (*path, position))
    return found


def altered(tree: Any, random: random.Random, keys: tuple[str, ...] = ()) -> Any:
    """Return a copy of a tree in which one to four values are replaced, removed or moved.

    Args:
        tree: The tree.
        random: The source of choices.
        keys: New names for keys.
    """
    tree = copy.deepcopy(tree)
    for _ in range(random.randint(1, 4)):
        path = random.choice(places(tree))
        if not path:
            if random.random() < 0.05:
                tree = copy.deepcopy(random.choice(ODD))
            continue
        around = at(tree, path[:-1])
        _alter(around, path[-1], tree, random, keys)
    return tree


def _alter(around: Any, key: Any, tree: Any, random: random.Random, keys: tuple[str, ...]) -> None:
    way = random.randrange(8)
    value = around[key]
    if way == 0:
        del around[key]
    elif way == 1 and isinstance(around, dict):
        around[_misspelt(str(key), random)] = around.pop(key)
    elif way == 2 and isinstance(around, dict) and keys:
        around[random.choice(keys)] = copy.deepcopy(random.choice(ODD))
    elif way == 3:
        around[key] = copy.deepcopy(at(tree, random.choice(places(tree))))
    elif way == 4 and isinstance(value, int) and not isinstance(value, bool):
        around[key] = value + random.choice([-1, 1, -value, 1000, 10**9])
    elif way == 5 and isinstance(value, list):
        around[key] = value * random.choice([0, 2, 50])
    elif way == 6 and isinstance(value, str):
        around[key] = _misspelt(value, random)
    else:
        around[key] = copy.deepcopy(random.choice(ODD))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    """Return the value at a path."""
    for part in path:
        tree = tree[part]
    return tree


def _misspelt(word: str, random: random.Random) -> str:
    if not word:
        return "x"
    i = random.randrange(len(word))
    return random.choice([word[:i] + word[i + 1 :], word[:i] + "x" + word[i:], word.upper(), word + " ", word[::-1]])
