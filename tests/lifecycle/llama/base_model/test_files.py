"""Folders of base models that are cut, quantised, pickled or hold pointers are refused by file, from headers alone."""

from pathlib import Path

import numpy as np
import pytest

from lifecycle.llama.base_model.files import check_files
from lifecycle.llama.member import base_model_identity
from tests.lifecycle.llama.base_model.folders import (
    Change,
    holds,
    in_shards,
    instead_of_weights,
    says,
    weighs,
)

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 269060552\n"
UP = "model.layers.0.mlp.up_proj.weight"


def cut(folder: Path) -> None:
    """The last kilobyte of the weights is missing."""
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1024])


def gone(folder: Path) -> None:
    """A link whose file was removed, as in a cache that was tidied up."""
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/nowhere/blob")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut, r"model.safetensors is cut off or damaged: incomplete metadata, .* \(\d+ bytes\)"),
        (
            holds("model.safetensors", b""),
            "is cut off or damaged: header too small .0 bytes.; copy",
        ),
        (
            holds("model.safetensors", POINTER),
            "model.safetensors is a pointer of Git LFS, not the file itself; run `git lfs pull` in",
        ),
        (holds("tokenizer.json", POINTER), "tokenizer.json is a pointer of Git LFS"),
        (gone, "model.safetensors is a link to /nowhere/blob, which is not there; copy the model"),
        (
            in_shards({UP: "b.safetensors"}),
            "b.safetensors is missing, though model.safetensors.ind",
        ),
        (
            in_shards({UP: "a.safetensors", "x": "a.safetensors"}),
            "a.safetensors has no x, though model.safetensors.index.json lists it there; copy both",
        ),
        (in_shards({}), "index.json is damaged: it needs metadata and weight_map; copy it anew"),
        (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
        (holds("config.json", b'{"model_type":'), "config.json is cut off or damaged: Expecting"),
        (holds("config.json", b"[]"), "config.json is damaged: it holds no JSON object; copy it"),
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            "has no tokenizer .tokenizer.json, or",
        ),
        (holds("tokenizer.json", b'{"version":'), "tokenizer.json is cut off or damaged"),
        (
            says(quantization_config={"quant_method": "awq"}),
            r"is quantised: config.json has quantization_config \(awq\); take the model in bf16",
        ),
        (says(quantization={"bits": 4}), "is quantised: config.json has quantization"),
        (
            weighs(lambda weights: weights | {UP: weights[UP].astype(np.int8)}),
            f"{UP} is stored as I8, so the model is quantised; take the model in bf16",
        ),
        (
            instead_of_weights("model-Q4_1.gguf"),
            "it has model-Q4_1.gguf alone, which is quantised; python -m training.setup makes",
        ),
        (
            instead_of_weights("pytorch_model.bin"),
            "its weights are pickled .pytorch_model.bin., and to read a pickle runs what its author",
        ),
        (instead_of_weights("adapter_config.json"), "it has an adapter alone; merge it into"),
        (
            instead_of_weights("consolidated.safetensors"),
            "has consolidated.safetensors, but neither model.safetensors nor model.safetensors.ind",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "it has no weights"),
    ],
)
def test_folder_that_cannot_be_trained_is_refused(
    folder: Path, change: Change, message: str
) -> None:
    check_files(folder)
    change(folder)
    with pytest.raises(ValueError, match=message) as caught:
        base_model_identity(str(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_shards_are_a_base_model_too(folder: Path) -> None:
    in_shards({UP: "a.safetensors"})(folder)
    check_files(folder)
