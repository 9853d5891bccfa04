"""Texts after one prompt as a tree of tokens: a beginning that several share is read once, all in one forward pass.

Every token sees the prompt and its own text alone, by the attention mask (Miao et al. 2024, arXiv
2305.09781, verify drafts in this way).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig, PreTrainedModel

from lifecycle.llama.shared_prefix import can_share, repeated

ALIBI = ("bloom", "mpt")  # whose attention fades with distance, whatever the position ids say


@dataclass(frozen=True)
class TokenTree:
    """The n beginnings of texts that something follows, each behind what it begins with itself."""

    token: np.ndarray  # (n,) the last of each
    depth: np.ndarray  # (n,) how many tokens are before that
    sees: np.ndarray  # (n, n) bool: itself, and what it begins with
    paths: list[list[int]]  # of each text the beginnings that its second and later tokens follow


def can_read_trees(config: PreTrainedConfig) -> bool:
    """Whether a decoder tells places by position ids, and what is seen by the mask that it is given, in all layers."""
    has_alibi = config.model_type in ALIBI or getattr(config, "alibi", False)
    return can_share(config) and not has_alibi


def token_tree(texts: Sequence[Sequence[int]]) -> TokenTree:
    """The tree of texts, in their order."""
    places: dict[tuple[int, int], int] = {}
    paths: list[list[int]] = []
    for text in texts:
        path: list[int] = []
        for token in text[:-1]:
            beginning = (path[-1] if path else -1, token)
            path.append(places.setdefault(beginning, len(places)))
        paths.append(path)
    sees = np.eye(len(places), dtype=bool)
    depth = np.zeros(len(places), dtype=np.int64)
    for (parent, _), place in places.items():
        if parent >= 0:
            sees[place] |= sees[parent]
            depth[place] = depth[parent] + 1
    return TokenTree(np.array([token for _, token in places], dtype=np.int64), depth, sees, paths)


def following_log_likelihoods(
    model: PreTrainedModel, prefix: DynamicCache, texts: Sequence[Sequence[int]]
) -> list[float]:
    """By text the sum of the log-probabilities (nats) of its tokens after the first; `prefix` has the prompt."""
    tree = token_tree(texts)
    if not len(tree.token):
        return [0.0] * len(texts)
    logits = _logits(model, prefix, tree)
    places = [place for path in tree.paths for place in path]
    tokens = [token for text in texts for token in text[1:]]
    logs = logits[places, tokens] - torch.logsumexp(logits, dim=-1)[places]
    lengths = [len(path) for path in tree.paths]
    return [float(part.sum()) for part in torch.split(logs.cpu().double(), lengths)]


def _logits(model: PreTrainedModel, prefix: DynamicCache, tree: TokenTree) -> Tensor:
    """(n, vocabulary) float32: what may follow each beginning."""
    device, start = model.device, prefix.get_seq_length()
    sees = np.concatenate([np.ones((len(tree.token), start), dtype=bool), tree.sees], axis=1)
    mask = torch.zeros(sees.shape, dtype=model.dtype)
    mask[torch.from_numpy(~sees)] = torch.finfo(model.dtype).min
    found = model(
        input_ids=torch.from_numpy(tree.token)[None].to(device),
        position_ids=torch.from_numpy(start + tree.depth)[None].to(device),
        attention_mask=mask[None, None].to(device),
        past_key_values=repeated(prefix, 1),
    )
    logits: Tensor = found.logits[0].float()
    return logits
