"""JSON that is none is told apart in words, and none of the text's own words are among them."""

import pytest

from lifecycle.strict_json import half_pair, parse_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": NaN}', "NaN is no JSON value; write null where there is no number (column 7)"),
        (
            '{"NaN": "NaN",\n "a": -Infinity}',
            "-Infinity is no JSON value; write null where there is no number (line 2, column 7)",
        ),
        ('{"a": 1e999}', "1e999 is too large for a number; write null where there is no number"),
        ('{"a": "x"', "it ends before it is whole: a bracket is not closed (column 10)"),
        ('{"a": "x', "unterminated string starting at column 7"),
        ('{"a": 1,}', "a comma stands before the closing bracket at column 9"),
        ("[1, 2,]", "a comma stands before the closing bracket at column 7"),
        ('{"a": 1},', "more stands behind its end at column 9"),
        ("{'a': 1}", "expecting property name enclosed in double quotes at column 2"),
        (
            '[{"a": 1, "b": {"c": 1, "c": 1}}]',
            "an object has one key twice; readers differ in which of the two they take",
        ),
        ("[" * 100_000, "its brackets are nested too deeply"),
    ],
)
def test_what_is_no_json_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_json(text.encode())
    assert str(caught.value) == message


def test_bytes_that_are_no_text_are_told_with_their_place() -> None:
    with pytest.raises(ValueError, match="byte 0xff at line 2, column 4 is not UTF-8"):
        parse_json(b'{\n "\xc3\xa4\xff": 1}')
    with pytest.raises(ValueError, match="byte 0xed at column 2 is not UTF-8"):
        parse_json('"\ud83d"'.encode("utf-8", "surrogatepass"))


def test_json_is_read_with_its_byte_order_mark() -> None:
    assert parse_json('\ufeff{"a": [1, 2.5, null]}'.encode()) == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("text", "half"), [("x \ud83d", "\\ud83d"), ("\ude00 x", "\\ude00"), ("\U0001f600 x", None)]
)
def test_half_of_a_pair_is_found_and_a_whole_one_is_not(text: str, half: str | None) -> None:
    assert half_pair(text) == half
