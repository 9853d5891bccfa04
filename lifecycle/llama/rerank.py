"""LLaMA re-ranking: how much likelier an item's text becomes once the model has read the customer's purchases.

score(item | customer) = mean log-likelihood per token of the item's text after the customer's
prompt, minus the same after NEUTRAL_PROMPT (the prior, which does not depend on the customer and is
computed once per item). The model only scores the candidates it is given: it cannot invent an item.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from lifecycle.llama.decoder import fast_dtype, load_tokenizer
from lifecycle.llama.language_model import load_causal_model, load_language_model
from lifecycle.llama.member import RERANK
from lifecycle.llama.shared_prefix import repeated
from lifecycle.llama.token_tree import can_read_trees, following_log_likelihoods
from lifecycle.recommend.prompts import NEUTRAL_PROMPT

# Of titles, that go through the model at once; more win nothing on a CPU core, and their logits are large.
TOKENS_AT_ONCE = 512


@dataclass(frozen=True)
class Reranker:
    """A language model that scores items for a customer; remembers the likelihood of each text without one."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    priors: dict[str, float]

    def scores(self, prompt: str, texts: list[str]) -> list[float]:
        """Score of each item text after the prompt, in the order given; equal texts are computed once.

        After the prompt of nobody all score 0, and nothing is computed.
        """
        if prompt == NEUTRAL_PROMPT:
            return [0.0] * len(texts)
        distinct = [(text, text) for text in dict.fromkeys(texts)]
        new = [pair for pair in distinct if pair[0] not in self.priors]
        if new:
            self.priors.update(item_priors(self.model, self.tokenizer, new))
        ranked = dict(rerank(self.model, self.tokenizer, prompt, distinct, self.priors))
        return [ranked[text] for text in texts]


def load_reranker(base_model: str | Path, attention: str, member: Path | None = None) -> Reranker:
    """A member of task rerank, or the base language model with its vocabulary head, on one CPU core."""
    torch.set_num_threads(1)
    if member is not None:
        return Reranker(*load_language_model(member, fast_dtype("cpu"), RERANK), {})
    model = load_causal_model(base_model, attention, fast_dtype("cpu"))
    return Reranker(model.eval(), load_tokenizer(base_model), {})


@torch.inference_mode()
def item_log_likelihoods(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    item_texts: Sequence[str],
    *,
    tokens_at_once: int = TOKENS_AT_ONCE,
) -> np.ndarray:
    """Mean log-likelihood per token (nats) of each item's text after the prompt, float64 (num_items,).

    The prompt goes through the model once, and so do beginnings that several items share, if the
    model can read trees. Equal texts get equal values, and neither the order of the items nor (to
    rounding) the other items matter.
    Raises ValueError for a text without tokens and for a prompt and item longer than the model's
    context.
    """
    assert not model.training, "dropout would make scores random: call model.eval() first"
    asked = prompt_tokens(tokenizer, prompt)
    texts = {text: item_tokens(tokenizer, text) for text in dict.fromkeys(item_texts)}
    check_context(model, asked, list(texts.values()))
    start = model(
        input_ids=torch.tensor([asked], device=model.device),
        use_cache=True,
        logits_to_keep=1,
    )
    first = log_softmax(start.logits[0, -1])
    can_read = can_read_trees(model.config)
    following = following_log_likelihoods if can_read else padded_log_likelihoods
    # Side by side what begins alike; or, padded, what is of similar length.
    order = sorted(texts, key=lambda text: texts[text] if can_read else [len(texts[text])])
    means: dict[str, float] = {}
    for batch in batches(order, texts, tokens_at_once):
        tokens = [texts[text] for text in batch]
        sums = following(model, start.past_key_values, tokens)
        for text, of_text, total in zip(batch, tokens, sums, strict=True):
            means[text] = (float(first[of_text[0]]) + total) / len(of_text)
    return np.array([means[text] for text in item_texts])


def batches(
    order: Sequence[str], texts: Mapping[str, list[int]], tokens_at_once: int
) -> Iterator[list[str]]:
    """Texts in their order, of so many tokens together, or one that has more by itself."""
    batch: list[str] = []
    size = 0
    for text in order:
        if batch and size + len(texts[text]) > tokens_at_once:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += len(texts[text])
    if batch:
        yield batch


def item_priors(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[tuple[str, str]],
) -> dict[str, float]:
    """item_id -> mean log-likelihood after NEUTRAL_PROMPT of (item_id, text) pairs.

    Keep them as long as the model, the texts and RERANK_PROMPT_VERSION stay.
    """
    texts = [text for _, text in items]
    means = item_log_likelihoods(model, tokenizer, NEUTRAL_PROMPT, texts)
    return {item_id: float(mean) for (item_id, _), mean in zip(items, means, strict=True)}


def rerank(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    candidates: Sequence[tuple[str, str]],
    priors: dict[str, float],
) -> list[tuple[str, float]]:
    """(item_id, score) of the candidates (item_id, text), best first, ties by item_id.

    Raises ValueError for a candidate without a prior or named twice.
    """
    ids = [item_id for item_id, _ in candidates]
    missing = sorted(set(ids) - priors.keys())
    if missing:
        raise ValueError(
            f"{len(missing)} candidates have no prior, among them item {missing[0]!r}; see item_priors"
        )
    if len(set(ids)) < len(ids):
        raise ValueError("an item is among the candidates twice")
    texts = [text for _, text in candidates]
    means = item_log_likelihoods(model, tokenizer, prompt, texts)
    scores = [
        (item_id, float(mean) - priors[item_id]) for item_id, mean in zip(ids, means, strict=True)
    ]
    return sorted(scores, key=lambda scored: (-scored[1], scored[0]))


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """The tokens of a prompt, before those of an item; the text of a special token is read as plain text."""
    tokens: list[int] = tokenizer(prompt, split_special_tokens=True)["input_ids"]
    return tokens


def item_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens that continue a prompt with an item; the text of a special token is read as plain text."""
    tokens: list[int] = tokenizer(f" {text}", add_special_tokens=False, split_special_tokens=True)[
        "input_ids"
    ]
    if not text.strip() or not tokens:
        raise ValueError(f"item text {text!r} holds no tokens to score")
    return tokens


def check_context(model: PreTrainedModel, prompt_tokens: list[int], items: list[list[int]]) -> None:
    """ValueError where the prompt is empty, or with the longest item does not fit the model's context."""
    if not prompt_tokens:
        raise ValueError("the prompt holds no tokens")
    longest = len(prompt_tokens) + max((len(tokens) for tokens in items), default=0)
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and longest > context:
        raise ValueError(
            f"prompt and longest item have {longest} tokens; the model's context is {context}"
        )


def padded_log_likelihoods(
    model: PreTrainedModel, prefix: DynamicCache, texts: Sequence[list[int]]
) -> list[float]:
    """By text the sum of the log-probabilities (nats) of its tokens after the first; `prefix` has the prompt.

    Texts are padded on the right: position ids run on from the prompt, and the causal mask alone
    keeps every token from the padding behind it.
    """
    width = max(len(tokens) for tokens in texts) - 1  # the last token predicts nothing
    if not width:
        return [0.0] * len(texts)
    inputs = torch.tensor([padded(tokens[:-1], width) for tokens in texts], device=model.device)
    targets = torch.tensor([padded(tokens[1:], width) for tokens in texts], device=model.device)
    logits = model(input_ids=inputs, past_key_values=repeated(prefix, len(texts))).logits
    sums = []
    for row, tokens in enumerate(texts):
        length = len(tokens) - 1
        gathered = log_softmax(logits[row, :length]).gather(1, targets[row, :length, None])
        sums.append(float(gathered.double().sum()))
    return sums


def padded(tokens: list[int], width: int) -> list[int]:
    """The tokens followed by zeros, which are never read."""
    return tokens + [0] * (width - len(tokens))


def log_softmax(logits: torch.Tensor) -> torch.Tensor:
    """Log-probabilities over the last dimension in float32, whatever the model's dtype."""
    return torch.log_softmax(logits.float(), dim=-1)
