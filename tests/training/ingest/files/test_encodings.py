"""Files in another encoding than their recipe says."""

import pytest

from tests.training.ingest.recipes import BASE, Read

ROWS = "c,t,p,n\n1,2024-01-01,2,José\n"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-16", "UTF-16, not utf-8; say `encoding: utf-16`"),
        ("utf-16-le", "UTF-16-LE, not utf-8; say `encoding: utf-16-le`"),
        ("utf-16-be", "UTF-16-BE, not utf-8; say `encoding: utf-16-be`"),
        ("utf-32", "UTF-32, not utf-8; say `encoding: utf-32`"),
    ],
)
def test_encoding_that_the_first_bytes_show_is_told_and_works(
    read: Read, encoding: str, told: str
) -> None:
    with pytest.raises(ValueError, match=f"lines.csv is {told}"):
        read(ROWS.encode(encoding))
    assert read(ROWS.encode(encoding), encoding=encoding)["amount"].to_list() == [2.0]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ISO-8859-15"])
def test_utf8_that_is_declared_as_an_encoding_of_one_byte_is_refused(
    read: Read, encoding: str
) -> None:
    columns = BASE | {"text": "n"}
    for content in (ROWS.encode(), ROWS.replace("é", "e").encode("utf-8-sig")):
        with pytest.raises(ValueError, match=f"is UTF-8, not {encoding}, .*say `encoding: utf-8`"):
            read(content, encoding=encoding, columns=columns)
    mixed = ROWS.encode() + "2,2024-01-01,2,Zoë\n".encode(encoding)
    rows = read(mixed, encoding=encoding, columns=columns)
    assert rows["text"].to_list() == ["José".encode().decode(encoding), "Zoë"]
    plain = read(ROWS.replace("é", "e"), encoding=encoding, columns=columns)
    assert plain["text"].to_list() == ["Jose"]


@pytest.mark.parametrize("encoding", ["klingon", "base64"])
def test_encoding_that_there_is_not_is_named(read: Read, encoding: str) -> None:
    with pytest.raises(ValueError, match=f"encoding '{encoding}' is unknown"):
        read(ROWS, encoding=encoding)
