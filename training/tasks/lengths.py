"""Whether prompts and conversations fit `max_tokens`: the longest before a worker starts, all of them in it."""

from heapq import nlargest
from itertools import chain

import polars as pl
from transformers import PreTrainedTokenizerBase

from lifecycle.llama.decoder import load_tokenizer
from training.tasks.assistant_tokens import encode_conversations
from training.tasks.conversations import Conversation, split_conversations
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.rerank.encoding import encode_next_titles
from training.tasks.rerank.titles import read_next_titles

CHECKED_AT_ONCE = 1000
NUM_LONGEST = 100  # which takes a tenth of a second


def check_longest(config: TextRecipe | SftRecipe | RerankRecipe) -> None:
    """ValueError where a text of most letters does not fit, or the chat template refuses such a conversation.

    Letters are no tokens, so workers look at all texts; these find nearly every mistake in seconds.
    """
    tokenizer = load_tokenizer(config.base_model)
    if isinstance(config, SftRecipe):
        parts = split_conversations(
            config.conversations, config.validation_conversations, config.seed
        )
        conversations = nlargest(NUM_LONGEST, [*parts[0], *parts[1]], key=_num_letters)
        encode_conversations(tokenizer, conversations, config.max_tokens)
        return
    if isinstance(config, RerankRecipe):
        titles = [*chain(*read_next_titles(config))]
        longest = nlargest(NUM_LONGEST, titles, key=lambda one: len(one.prompt) + len(one.title))
        encode_next_titles(tokenizer, longest, config.max_tokens)
        return
    prompts = pl.scan_parquet(config.examples / "train.parquet").select("prompt")
    found = prompts.top_k(NUM_LONGEST, by=pl.col("prompt").str.len_chars()).collect()
    check_lengths(tokenizer, found["prompt"].to_list(), config.max_tokens)


def _num_letters(conversation: Conversation) -> int:
    return sum(len(message["content"]) for message in conversation.messages)


def check_lengths(tokenizer: PreTrainedTokenizerBase, prompts: list[str], max_tokens: int) -> None:
    """ValueError for a prompt of more than `max_tokens`, now rather than in the step that first meets it."""
    for start in range(0, len(prompts), CHECKED_AT_ONCE):
        tokens = tokenizer(prompts[start : start + CHECKED_AT_ONCE])["input_ids"]
        longest = max(len(row) for row in tokens)
        if longest > max_tokens:
            raise ValueError(f"max_tokens is {max_tokens}, but a prompt has {longest} tokens")
