"""Conversations to learn from: JSON-lines files, checked line by line, and which of them are held out.

What is said in them appears in no message and no log: a mistake is named by file and line.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from lifecycle.folders import file_sha256, fingerprint
from lifecycle.paths import SUFFIXES, files_at
from lifecycle.strict_json import half_pair, half_pair_line, parse_json

ROLES = ("system", "user", "assistant")
VALIDATION_SHARE = 0.05
Message = dict[str, str]  # role and content


@dataclass(frozen=True)
class Conversation:
    """Messages in order; `place` is the file and the line that they come from."""

    messages: list[Message]
    place: str


def conversation_files(path: Path) -> list[Path]:
    """The files of conversations in name order; ValueError where there are none."""
    files = files_at(path, SUFFIXES["json"])
    if not files:
        raise ValueError(
            f"conversations {str(path)!r}: no such file, or no .jsonl file in that folder"
        )
    return files


def read_conversations(path: Path) -> list[Conversation]:
    """All conversations of a file, folder or glob; ValueError naming file and line of the first that is unusable."""
    found = [
        conversation
        for file in conversation_files(path)
        for conversation in _conversations_of(file)
    ]
    if not found:
        raise ValueError(f"conversations {str(path)!r} are empty")
    return found


def _conversations_of(file: Path) -> list[Conversation]:
    with file.open("rb") as lines:
        places = (
            (f"{file}, line {number}", line)
            for number, line in enumerate(lines, start=1)
            if line.strip()
        )
        return [Conversation(_messages(line, place), place) for place, line in places]


def _messages(line: bytes, place: str) -> list[Message]:
    """The checked messages of one line."""
    try:
        record = parse_json(line.strip())
    except ValueError as error:
        raise ValueError(f"{place} is not JSON in UTF-8: {error}") from None
    if isinstance(record, list):
        raise ValueError(
            f"{place} is a JSON array; write one conversation a line, without brackets around all"
        )
    if (
        not isinstance(record, dict)
        or set(record) != {"messages"}
        or not isinstance(record["messages"], list)
    ):
        raise ValueError(f'{place} must be {{"messages": [...]}}, with no other key')
    messages = [
        _message(message, f"{place}, message {n}")
        for n, message in enumerate(record["messages"], start=1)
    ]
    roles = [message["role"] for message in messages]
    if "assistant" not in roles:
        raise ValueError(f"{place} has no assistant turn, so there is nothing to learn")
    if roles[0] == "assistant":
        raise ValueError(f"{place} begins with the assistant; there must be something to answer")
    return messages


def _message(message: object, place: str) -> Message:
    if not isinstance(message, dict) or set(message) != {"role", "content"}:
        raise ValueError(f'{place} must be {{"role": ..., "content": ...}}, with no other key')
    if message["role"] not in ROLES:
        raise ValueError(f"{place} has an unknown role; roles are {', '.join(ROLES)}")
    if not isinstance(message["content"], str) or not message["content"].strip():
        raise ValueError(f"{place} has no content; it must be a text that is not blank")
    half = half_pair(message["content"])
    if half is not None:
        raise ValueError(f"{place}: its content {half_pair_line(half)}")
    return message


def split_conversations(
    path: Path, validation_path: Path | None, seed: int
) -> tuple[list[Conversation], list[Conversation]]:
    """Conversations to train on and to validate on.

    Without a validation path a twentieth of the conversations is held out, at least one. A hash of
    what is said decides, so equal conversations stay together and new ones move no other; each seed
    draws another twentieth.
    """
    found = read_conversations(path)
    if validation_path is not None:
        return found, read_conversations(validation_path)
    draws = [_draw(conversation, seed) for conversation in found]
    limit = max(VALIDATION_SHARE, min(draws))
    train = [conversation for conversation, draw in zip(found, draws, strict=True) if draw > limit]
    if not train:
        raise ValueError(
            f"conversations {str(path)!r} leave none to train on; add some, or give validation_conversations"
        )
    return train, [
        conversation for conversation, draw in zip(found, draws, strict=True) if draw <= limit
    ]


def _draw(conversation: Conversation, seed: int) -> float:
    """A number in [0, 1) that the content of a conversation and the seed decide."""
    return int(fingerprint([seed, conversation.messages])[:13], 16) / 16**13


def conversations_identity(path: Path, validation_path: Path | None, base_model: str) -> str:
    """Fingerprint of what a language model learns from: the files' SHA-256, and how the base model renders them."""
    parts = [
        conversation_files(part) if part is not None else [] for part in (path, validation_path)
    ]
    hashes = [[file_sha256(file) for file in files] for files in parts]
    return fingerprint([hashes, _chat_template(base_model)])


def check_chat_template(base_model: str) -> None:
    """ValueError where the base model does not say how it renders a conversation, or not in characters."""
    template = _chat_template(base_model)
    half = half_pair(template) if isinstance(template, str) else None
    if half is not None:
        raise ValueError(f"the chat template of {base_model} {half_pair_line(half)}")
    if not template:
        raise ValueError(
            f"base_model {base_model!r} has no chat template (chat_template.jinja, or chat_template in "
            "tokenizer_config.json); take an instruction-tuned model"
        )


def _chat_template(base_model: str) -> object:
    """The template as transformers stores it; read here because a recipe is checked without importing transformers."""
    template = Path(base_model) / "chat_template.jinja"
    settings = Path(base_model) / "tokenizer_config.json"
    if template.is_file():
        return template.read_text()
    return json.loads(settings.read_text()).get("chat_template") if settings.is_file() else None
