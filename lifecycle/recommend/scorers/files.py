"""A fitted ranker as files: arrays as safetensors, the rest as JSON."""

import json
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse

from lifecycle.folders import write_json

Kept = TypeVar("Kept")
PARTS = ("data", "indices", "indptr", "shape")  # of a sparse matrix


def save_arrays(folder: Path, name: str, fitted: object) -> None:
    """Write the fields of a dataclass, which are arrays, sparse matrices and numbers, into an existing folder."""
    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, float] = {}
    for field in fields(fitted):  # type: ignore[arg-type]
        value = getattr(fitted, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = np.ascontiguousarray(value)
        elif sparse.issparse(value):
            arrays |= {f"{field.name}.{part}": np.asarray(getattr(value, part)) for part in PARTS}
        else:
            numbers[field.name] = value
    write_json(folder / f"{name}.json", {key: repr(value) for key, value in numbers.items()})
    save_file(arrays, folder / f"{name}.safetensors")


def load_arrays(folder: Path, name: str, kind: type[Kept]) -> Kept:
    """What `save_arrays` wrote of a dataclass of this kind."""
    written = json.loads((folder / f"{name}.json").read_text())
    arrays = load_file(folder / f"{name}.safetensors")
    values: dict[str, object] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name in written:
            # Text, as JSON has no infinite number.
            values[field.name] = field.type(written[field.name])  # type: ignore[operator]
        elif field.name in arrays:
            values[field.name] = arrays[field.name]
        else:
            data, indices, bounds, shape = (arrays[f"{field.name}.{part}"] for part in PARTS)
            values[field.name] = sparse.csr_array((data, indices, bounds), shape=tuple(shape))
    return kind(**values)
