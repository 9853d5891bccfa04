"""Conversations as tokens, in the base model's own chat template, and which of the tokens the assistant says."""

import re
from dataclasses import dataclass

import numpy as np
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from training.tasks.conversations import Conversation, Message

GENERATION_MARK = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class EncodedConversation:
    """Token ids, and whether each token is to be learned, both of shape (tokens,)."""

    ids: np.ndarray
    learned: np.ndarray


def encode_conversations(
    tokenizer: PreTrainedTokenizerBase, conversations: list[Conversation], max_tokens: int
) -> list[EncodedConversation]:
    """Each conversation with its assistant's turns marked, the token that ends a turn included.

    A token that holds the end of what comes before a turn together with the turn's first characters
    is not learned.

    Raises ValueError for a conversation of more than `max_tokens`, for one that the chat template
    refuses, and for a template that does not show where the assistant speaks.
    """
    mark = (
        _marked_turns if GENERATION_MARK.search(tokenizer.get_chat_template()) else _turns_by_prefix
    )
    special = [number for number, token in tokenizer.added_tokens_decoder.items() if token.special]
    result = []
    for conversation in conversations:
        try:
            ids, learned = mark(tokenizer, conversation.messages)
        except TemplateError as error:
            message = f"{conversation.place}: the chat template of {tokenizer.name_or_path} refuses it: {error}"
            raise ValueError(message) from None
        except ValueError as error:
            raise ValueError(f"{conversation.place}: {error}") from None
        if len(ids) > max_tokens:
            raise ValueError(
                f"max_tokens is {max_tokens}, but {conversation.place} has {len(ids)} tokens"
            )
        result.append(
            EncodedConversation(ids, _until_turns_end(ids, learned, np.isin(ids, special)))
        )
    return result


def _marked_turns(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message]
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens, and those in the template's {% generation %} blocks."""
    encoded = tokenizer.apply_chat_template(
        messages, return_dict=True, return_assistant_tokens_mask=True
    )
    learned = np.array(encoded["assistant_masks"], dtype=bool)
    num_turns = sum(message["role"] == "assistant" for message in messages)
    num_marked = len(_runs(learned))
    if num_marked != num_turns:
        raise ValueError(
            f"the chat template of {tokenizer.name_or_path} marks {num_marked} of {num_turns} assistant turns with "
            "{% generation %}"
        )
    return np.array(encoded["input_ids"], dtype=np.int32), learned


def _turns_by_prefix(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message]
) -> tuple[np.ndarray, np.ndarray]:
    """Tokens, and those that the text of the conversation gains with each assistant turn."""
    text = _render(tokenizer, messages)
    spans = []
    for number, message in enumerate(messages):
        if message["role"] == "assistant":
            before = _render(tokenizer, messages[:number], add_generation_prompt=True)
            after = _render(tokenizer, messages[: number + 1])
            if not (after.startswith(before) and text.startswith(after)):
                raise ValueError(
                    f"the chat template of {tokenizer.name_or_path} renders a message differently once others follow, "
                    "so the assistant's tokens cannot be told; mark them in it with {% generation %}"
                )
            spans.append((len(before), len(after)))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    begins = np.array(encoded["offset_mapping"])[:, 0]
    learned = np.any([(begins >= first) & (begins < end) for first, end in spans], axis=0)
    return np.array(encoded["input_ids"], dtype=np.int32), learned


def _render(
    tokenizer: PreTrainedTokenizerBase,
    messages: list[Message],
    *,
    add_generation_prompt: bool = False,
) -> str:
    rendered = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add_generation_prompt
    )
    assert isinstance(rendered, str)
    return rendered


def _until_turns_end(ids: np.ndarray, learned: np.ndarray, special: np.ndarray) -> np.ndarray:
    """Turns that end with the special token that closes them, which may lie behind what the template marked.

    Templates put a line break behind that token; generation has stopped by then, so it is not
    learned.
    """
    result = np.zeros(len(ids), dtype=bool)
    for first, end in _runs(learned):
        closing = np.flatnonzero(special[first:end])
        if len(closing):
            end = first + closing[-1] + 1
        elif end < len(ids) and special[end]:
            end += 1
        result[first:end] = True
    return result


def _runs(learned: np.ndarray) -> list[tuple[int, int]]:
    """First and end, exclusive, of each unbroken run."""
    edges = np.flatnonzero(np.diff(learned.astype(np.int8), prepend=0, append=0))
    return [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
