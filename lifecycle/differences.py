"""What differs between two recipes or their inputs, key by key, so that who is refused knows what to change."""

import json
from collections.abc import Iterator

from lifecycle.config import Tree

MAX_LETTERS = 80  # of a value in a message
ID_LETTERS = 12  # of the fingerprint of a content
ABSENT = "absent"


def content(name: str, identity: str | None) -> Tree:
    """The entry of a file or folder whose content counts, wherever it lies."""
    return {f"content of {name}": None if identity is None else identity[:ID_LETTERS]}


def differences(before: object, now: object, key: str = "") -> Iterator[str]:
    """`optimizer.learning_rate was 0.1 and is 0.2`, for each dotted key in which two trees differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            dotted = f"{key}.{name}" if key else name
            if name not in before:
                yield f"{dotted} was {ABSENT} and is {_short(now[name])}"
            elif name not in now:
                yield f"{dotted} was {_short(before[name])} and is {ABSENT}"
            else:
                yield from differences(before[name], now[name], dotted)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from differences(old, new, f"{key}.{number}")
    elif before != now:
        yield f"{key} was {_short(before)} and is {_short(now)}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_LETTERS else f"{text[:MAX_LETTERS]}..."
