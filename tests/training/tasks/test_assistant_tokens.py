"""Which tokens of a rendered conversation are learned: what the assistant says and the token that ends its turn."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from lifecycle.llama.decoder import load_tokenizer
from tests.builders import CHAT_TEMPLATE, REPOSITORY, turns
from training.tasks.assistant_tokens import encode_conversations
from training.tasks.conversations import Conversation, Message

SMOLLM2 = REPOSITORY / "models" / "smollm2-135m-instruct"
LONG = [
    {"role": "system", "content": "Be brief."},
    *turns("Hi, is it blue?", " Yes,\n it is: 蓝色. ", "Fine", "Bye!"),
]
# The assistant's content stands in a generation block, without and with the token that ends its turn.
MARKED = CHAT_TEMPLATE.replace(
    "{{ message['content'] }}</s>",
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}{% endgeneration %}"
    "{% else %}{{ message['content'] }}{% endif %}</s>",
)
MARKED_WITH_END = MARKED.replace("{% endgeneration %}", "</s>{% endgeneration %}").replace(
    "{% endif %}</s>\n",
    "</s>{% endif %}{{ '\n' }}",  # a line break behind a block would be swallowed
)
WITHOUT_LINE_BREAKS = CHAT_TEMPLATE.replace("</s>\n", "</s>")
FORGETFUL = CHAT_TEMPLATE.replace(
    "{{ message['content'] }}",
    "{{ message['content'] if loop.last else message['content'] | trim }}",
)
STRICT = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role here') }}{% endif %}"
    + CHAT_TEMPLATE
)


def conversation(messages: list[Message]) -> Conversation:
    return Conversation(messages, "c.jsonl, line 7")


def tiny_tokenizer(folder: Path, template: str = CHAT_TEMPLATE) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(folder)
    tokenizer.chat_template = template
    return tokenizer


def learned_and_rest(
    tokenizer: PreTrainedTokenizerBase, messages: list[Message]
) -> tuple[str, str]:
    """The text of the learned tokens, and that of all others."""
    (encoded,) = encode_conversations(tokenizer, [conversation(messages)], 1000)
    assert encoded.ids.shape == encoded.learned.shape
    return tokenizer.decode(encoded.ids[encoded.learned]), tokenizer.decode(
        encoded.ids[~encoded.learned]
    )


@pytest.mark.parametrize(
    "template", [CHAT_TEMPLATE, MARKED, MARKED_WITH_END], ids=["prefix", "marked", "marked_end"]
)
def test_learned_tokens_are_the_assistants_words_and_the_ends_of_its_turns(
    tiny_chat_model: Path, template: str
) -> None:
    learned, rest = learned_and_rest(tiny_tokenizer(tiny_chat_model, template), LONG)
    assert learned == " Yes,\n it is: 蓝色. </s>Bye!</s>"
    assert rest == (
        "<s>system\nBe brief.</s>\n<s>user\nHi, is it blue?</s>\n<s>assistant\n\n<s>user\nFine</s>\n<s>assistant\n\n"
    )


def test_next_turns_opening_token_is_not_taken_for_the_end(tiny_chat_model: Path) -> None:
    learned, _ = learned_and_rest(
        tiny_tokenizer(tiny_chat_model, WITHOUT_LINE_BREAKS), turns("a", "b", "c", "d")
    )
    assert learned == "b</s>d</s>"


def test_turns_of_the_user_after_the_last_answer_are_not_learned(tiny_chat_model: Path) -> None:
    learned, rest = learned_and_rest(tiny_tokenizer(tiny_chat_model), turns("a", "b", "thanks"))
    assert learned == "b</s>" and rest.endswith("<s>user\nthanks</s>\n")


def test_real_chat_template_and_its_default_system_message() -> None:
    if not SMOLLM2.exists():
        pytest.skip("SmolLM2 is not in models/; run make setup")
    tokenizer = load_tokenizer(SMOLLM2)
    learned, rest = learned_and_rest(
        tokenizer, turns("I love it.", "positive", "And now?", "\nIt depends.")
    )
    assert learned == "positive<|im_end|>\nIt depends.<|im_end|>"
    assert (
        rest.startswith("<|im_start|>system\nYou are a helpful AI assistant")
        and "positive" not in rest
    )
    (encoded,) = encode_conversations(
        tokenizer, [conversation(turns("I love it.", "positive"))], 1000
    )
    assert encoded.ids[encoded.learned].tolist() == tokenizer("positive<|im_end|>")["input_ids"]


def test_long_conversation_is_refused_by_its_line(tiny_chat_model: Path) -> None:
    tokenizer = tiny_tokenizer(tiny_chat_model)
    messages = turns("a", "b")
    (encoded,) = encode_conversations(tokenizer, [conversation(messages)], 23)
    assert (
        len(encoded.ids) == 23
    )  # by hand: 4 + 9 letters of the roles, a, b, and 2 x (open, close, two line breaks)
    with pytest.raises(ValueError, match="max_tokens is 22, but c.jsonl, line 7 has 23 tokens"):
        encode_conversations(tokenizer, [conversation(messages)], 22)


def test_template_that_rewrites_earlier_turns_is_refused(tiny_chat_model: Path) -> None:
    tokenizer = tiny_tokenizer(tiny_chat_model, FORGETFUL)
    with pytest.raises(
        ValueError, match="line 7: the chat template of .*tiny-chat renders a message differently"
    ):
        encode_conversations(tokenizer, [conversation(LONG)], 1000)
    learned, _ = learned_and_rest(
        tokenizer, turns("a", "b", "c", "d")
    )  # where it changes nothing it does no harm
    assert learned == "b</s>d</s>"


def test_template_that_marks_some_turns_alone_is_refused(tiny_chat_model: Path) -> None:
    template = MARKED.replace(
        "message['role'] == 'assistant'", "message['role'] == 'assistant' and loop.last"
    )
    with pytest.raises(
        ValueError, match="line 7: the chat template of .* marks 1 of 2 assistant turns"
    ):
        encode_conversations(tiny_tokenizer(tiny_chat_model, template), [conversation(LONG)], 1000)


def test_conversation_that_the_template_refuses_is_named(tiny_chat_model: Path) -> None:
    with pytest.raises(
        ValueError, match="line 7: the chat template of .* refuses it: no system role here"
    ):
        encode_conversations(tiny_tokenizer(tiny_chat_model, STRICT), [conversation(LONG)], 1000)
