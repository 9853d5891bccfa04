"""The answer for a customer as it travels over HTTP: how it is encoded, and how answers are put together."""

import json
from collections.abc import Iterable

from pydantic import JsonValue

Answer = dict[str, JsonValue]
JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encoded(answer: Answer) -> bytes:
    """An answer as JSON; `customer_id` must be its first key."""
    return JSON.encode(answer).encode()


def opening_of(customer_id: str) -> bytes:
    """What the encoded answer for this customer, and no other, begins with."""
    return b'{"customer_id":' + JSON.encode(customer_id).encode() + b","


def body_of(answers: Iterable[bytes]) -> bytes:
    """The body of a response with these encoded answers, in their order."""
    return b'{"customers":[' + b",".join(answers) + b"]}"
