"""Encoded answers: what HTTP would send, and whose they are."""

import json

import pytest
from fastapi.responses import JSONResponse

from lifecycle.state.answers import Answer, body_of, encoded, opening_of

ANSWERS: list[Answer] = [
    {"customer_id": "a", "clv": 0.1 + 0.2, "explanation": [{"value": None}]},
    {"customer_id": 'q"uote\\ \n', "clv": 1e300},
    {"customer_id": "Ünïcode ✓", "clv": -0.0},
]


def test_body_is_what_the_framework_would_send() -> None:
    assert body_of(map(encoded, ANSWERS)) == bytes(JSONResponse({"customers": ANSWERS}).body)
    assert json.loads(body_of([])) == {"customers": []}


def test_answer_begins_as_its_customers_and_no_others_does() -> None:
    for answer in ANSWERS:
        assert encoded(answer).startswith(opening_of(str(answer["customer_id"])))
    assert not encoded({"customer_id": "ab", "clv": 1.0}).startswith(opening_of("a"))


def test_what_is_no_number_is_never_encoded() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        encoded({"customer_id": "a", "clv": float("nan")})
