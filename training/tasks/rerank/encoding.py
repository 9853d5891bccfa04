"""Prompts and titles as tokens, as re-ranking reads them."""

import numpy as np
from transformers import PreTrainedTokenizerBase

from lifecycle.llama.rerank import item_tokens, prompt_tokens
from training.tasks.assistant_tokens import EncodedConversation
from training.tasks.rerank.titles import NextTitle


def encode_next_titles(
    tokenizer: PreTrainedTokenizerBase, titles: list[NextTitle], max_tokens: int
) -> list[EncodedConversation]:
    """Prompts with their titles, of which the titles' tokens are learned; ValueError for more than `max_tokens`."""
    found = []
    for one in titles:
        prompt, title = prompt_tokens(tokenizer, one.prompt), item_tokens(tokenizer, one.title)
        ids = np.array(prompt + title, dtype=np.int32)
        if len(ids) > max_tokens:
            raise ValueError(
                f"max_tokens is {max_tokens}, but a prompt and its title have {len(ids)} tokens"
            )
        found.append(EncodedConversation(ids, np.arange(len(ids)) >= len(prompt)))
    return found
