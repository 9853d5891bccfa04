"""Copies of a tiny base model in which something is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

Change = Callable[[Path], object]
Weights = dict[str, np.ndarray]


def says(name: str = "config.json", **values: object) -> Change:
    """A JSON file of the folder says something else; a key whose value is None is not there."""

    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) | values
        kept = {key: value for key, value in content.items() if value is not None}
        (folder / name).write_text(json.dumps(kept))

    return change


def holds(name: str, content: bytes) -> Change:
    """A file holds something else."""
    return lambda folder: (folder / name).write_bytes(content)


def instead_of_weights(name: str, content: bytes = b"{}") -> Change:
    """Another file lies there, and no weights."""

    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(content)

    return change


def weighs(changed: Callable[[Weights], Weights]) -> Change:
    """The weights are others."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file(changed(load_file(path)), path, metadata={"format": "pt"})

    return change


def in_shards(index: dict[str, str]) -> Change:
    """All weights lie in shard a, and the index says where."""

    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "a.safetensors")
        content = {"metadata": {}, "weight_map": index}
        (folder / "model.safetensors.index.json").write_text(json.dumps(content))

    return change
