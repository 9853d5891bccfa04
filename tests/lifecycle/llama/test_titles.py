"""Vectors of titles: means of a base model's token embeddings, the same after saving, and near for similar titles."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer

from lifecycle.llama.titles import (
    MAX_SIZE,
    TitleEncoder,
    fit_title_encoder,
    load_title_encoder,
    token_embeddings,
)

TITLES = [f"{kind} no. {number}" for kind in ("coffee", "tea", "bread") for number in range(30)]


@pytest.fixture(scope="module")
def encoder(tiny_base_model: Path) -> TitleEncoder:
    return fit_title_encoder(str(tiny_base_model), TITLES)


@pytest.mark.parametrize("name", ["tiny_base_model", "gpt2_base_model"])
def test_token_embeddings_are_those_of_the_model(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    expected = AutoModel.from_pretrained(folder).get_input_embeddings().weight.detach()
    torch.testing.assert_close(token_embeddings(str(folder)), expected.float())


def test_embeddings_that_are_no_numbers_are_named(tiny_base_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_base_model, tmp_path / "base"))
    name = "model.embed_tokens.weight"
    weights = load_file(folder / "model.safetensors")
    weights[name][1, 2] = float("inf")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    message = f"{folder / 'model.safetensors'}: {name} has weights that are not finite; copy it"
    with pytest.raises(ValueError, match=message):
        token_embeddings(str(folder))


def test_vectors_are_centred_principal_components_of_mean_token_embeddings(
    encoder: TitleEncoder, tiny_base_model: Path
) -> None:
    weights = load_file(tiny_base_model / "model.safetensors")
    (table,) = [value for name, value in weights.items() if "embed_tokens" in name]
    tokenizer = AutoTokenizer.from_pretrained(tiny_base_model)
    means = np.stack(
        [table[tokenizer(title)["input_ids"]].numpy().mean(axis=0) for title in TITLES]
    )
    _, singular, directions = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    size = min(MAX_SIZE, *means.shape)
    expected = (means - means.mean(axis=0)) @ directions[:size].T
    expected /= np.sqrt((singular[:size] ** 2).sum() / (len(TITLES) - 1) / size)
    found = encoder.vectors(TITLES).numpy()
    assert found.shape == (1 + len(TITLES), size) and not found[0].any()
    # directions may point either way
    np.testing.assert_allclose(np.abs(found[1:]), np.abs(expected), atol=0.02)


def test_similar_titles_are_nearer_than_others_also_new_ones(encoder: TitleEncoder) -> None:
    _, *known, new = encoder.vectors([*TITLES, "tea no. 97"])
    near = torch.stack(known) @ new / (torch.stack(known).norm(dim=1) * new.norm())
    kinds = np.repeat(["coffee", "tea", "bread"], 30)
    assert near.numpy()[kinds == "tea"].mean() > 0.3 > 0 > near.numpy()[kinds != "tea"].mean()
    assert kinds[np.argsort(-near.numpy())[:20]].tolist() == ["tea"] * 20


def test_saved_encoder_gives_the_same_vectors(encoder: TitleEncoder, tmp_path: Path) -> None:
    assert load_title_encoder(tmp_path) is None
    encoder.save(tmp_path)
    loaded = load_title_encoder(tmp_path)
    assert loaded is not None
    torch.testing.assert_close(
        loaded.vectors(["", *TITLES]), encoder.vectors(["", *TITLES]), rtol=0, atol=0
    )
    assert not loaded.vectors([""]).any() and loaded.vectors([]).shape == (1, encoder.size)


def test_catalogue_without_titles_is_refused(tiny_base_model: Path) -> None:
    with pytest.raises(ValueError, match="the catalogue has 1 different titles"):
        fit_title_encoder(str(tiny_base_model), ["tea"])
