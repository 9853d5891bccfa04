"""Files that are not what the recipe takes them for: one line with the key that helps."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import BASE
from training.ingest.sources import Source
from training.ingest.tables.batches import check_columns


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        ("c,t,p\n1,2024-01-01,5\n".encode("utf-16"), "UTF-16: say encoding: utf-16"),
        ("c,t,p\n1,2024-01-01,5\n".encode("utf-16-le"), "UTF-16: say encoding: utf-16"),
        (b"sep=;\nc;t;p\n1;2024-01-01;5\n", "say skip_rows: 1 and delimiter: ';'"),
        (b"# export\n# of today\nc,t,p\n1,2024-01-01,5\n", "comments: say skip_rows: 2"),
        (b"c;t;p\n1;2024-01-01;5\n", "has ';' between names: say delimiter: ';'"),
        (b"c\tt\tp\n1\t2024-01-01\t5\n", "say delimiter: '\\\\t'"),
        (b"<html><table><tr><td>c</td></tr></table>", "is an HTML page; .* Export it as CSV"),
        (b"\xfd7zXZ\x00\x00", "is an xz archive"),
        (b"a,b,x\n1,2024-01-01,5\n", "unknown column 'c'; .* has ..a., .b., .x.."),
    ],
)
def test_remedy_of_a_file_that_looks_otherwise(tmp_path: Path, content: bytes, remedy: str) -> None:
    path = tmp_path / "lines.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=remedy):
        check_columns(Source.model_validate({"path": str(path), "columns": BASE}))
