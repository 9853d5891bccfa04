"""Titles of items as vectors, so that an item nobody bought yet is like those with a similar title.

A title is the mean of a LLaMA's token embeddings of it, in the directions in which the titles of a
catalogue differ most. The embeddings of all tokens in those directions are kept with the member: a
new title then needs no base model.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.decomposition import PCA
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig, AutoModel

from lifecycle.features.vocabulary import FIRST_TITLE
from lifecycle.llama.decoder import load_tokenizer

MAX_SIZE = 64
TOKENS_FILE = "title_tokens.safetensors"
TOKENIZER_FILE = "title_tokenizer.json"


@dataclass(frozen=True)
class TitleEncoder:
    """A tokenizer and a vector for each of its tokens, shape (tokens, size)."""

    tokenizer: Tokenizer
    tokens: Tensor

    @property
    def size(self) -> int:
        """Dimensions of a title's vector."""
        return int(self.tokens.shape[1])

    def vectors(self, titles: list[str]) -> Tensor:
        """The mean of each title's tokens by its position, shape (FIRST_TITLE + n, size); zeros for no title."""
        result = torch.zeros(FIRST_TITLE + len(titles), self.size)
        result[FIRST_TITLE:] = mean_of_tokens(self.tokenizer, self.tokens, titles)
        return result

    def save(self, folder: Path) -> None:
        """Write the tokens' vectors in half precision, and the tokenizer."""
        save_file({"tokens": self.tokens.half()}, folder / TOKENS_FILE)
        self.tokenizer.save(str(folder / TOKENIZER_FILE))


def load_title_encoder(folder: Path) -> TitleEncoder | None:
    """What `save` wrote, or None where the folder holds none."""
    if not (folder / TOKENS_FILE).is_file():
        return None
    tokens = load_file(folder / TOKENS_FILE)["tokens"].float()
    return TitleEncoder(Tokenizer.from_file(str(folder / TOKENIZER_FILE)), tokens)


def title_size(base_model: str, num_titles: int) -> int:
    """Dimensions of the vectors of so many different titles; ValueError where there are fewer than two."""
    if num_titles < 2:
        raise ValueError(
            f"base_model reads the titles of items, but the catalogue has {num_titles} different titles"
        )
    return min(MAX_SIZE, num_titles, int(AutoConfig.from_pretrained(base_model).hidden_size))


def fit_title_encoder(base_model: str, titles: list[str]) -> TitleEncoder:
    """The encoder of a base model for the titles of a catalogue, by their principal components, scaled to about 1.

    Raises ValueError where there are fewer than two titles.
    """
    size = title_size(base_model, len(titles))
    tokenizer = load_tokenizer(base_model).backend_tokenizer
    tokens = token_embeddings(base_model)
    means = mean_of_tokens(tokenizer, tokens, titles).numpy()
    components = PCA(size, random_state=0).fit(means)
    directions = torch.from_numpy(
        components.components_.T / max(components.explained_variance_.mean() ** 0.5, 1e-6)
    )
    # In half precision, as they are saved: training and serving see the same numbers.
    return TitleEncoder(
        tokenizer, ((tokens - torch.from_numpy(components.mean_)) @ directions).half().float()
    )


def mean_of_tokens(tokenizer: Tokenizer, tokens: Tensor, titles: list[str]) -> Tensor:
    """Mean of the vectors of each title's tokens, shape (n, size); zeros for a title without any."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch(titles, add_special_tokens=False)]
    starts = list(itertools.accumulate(map(len, ids), initial=0))[:-1]
    flat = torch.tensor(list(itertools.chain.from_iterable(ids)), dtype=torch.long)
    return torch.nn.functional.embedding_bag(
        flat, tokens, torch.tensor(starts, dtype=torch.long), mode="mean"
    )


def token_embeddings(base_model: str) -> Tensor:
    """A base model's input embeddings in float32, shape (tokens, hidden); its other weights are not read."""
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.from_pretrained(base_model))
    embedding = model.get_input_embeddings()
    name = next(name for name, module in model.named_modules() if module is embedding) + ".weight"
    for file in sorted(Path(base_model).glob("*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for key in weights.keys():  # noqa: SIM118  (it is no mapping)
                if key == name or key.endswith(f".{name}"):
                    found: Tensor = weights.get_tensor(key)
                    if not torch.isfinite(found).all():
                        raise ValueError(
                            f"{file}: {key} has weights that are not finite; copy it anew"
                        )
                    return found.float()
    raise ValueError(f"base_model {base_model!r} has no {name} in its *.safetensors")
