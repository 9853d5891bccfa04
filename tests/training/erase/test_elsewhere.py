"""Lists of customers outside the folders of a recipe: who is erased is told, and nothing is changed."""

import logging
from pathlib import Path

import polars as pl
import pytest

from lifecycle.erasure.tombstones import ErasedIds
from training.erase.elsewhere import found_elsewhere


def test_lists_outside_the_folders_are_told_and_left(
    tmp_path: Path, erased: ErasedIds, caplog: pytest.LogCaptureFixture
) -> None:
    shop = tmp_path / "shop"
    (shop / "scores").mkdir(parents=True)
    rows = pl.DataFrame({"customer_id": ["7", "a", "7"]})
    rows.write_parquet(shop / "scores" / "scores.parquet")
    rows.write_parquet(shop / "mail.parquet")
    (shop / "mail.csv").write_text("clv,customer_id\n1,a\n2,7\n")
    (shop / "lines.csv").write_text("CustomerID\n7\n")
    (shop / "others.csv").write_text("customer_id\na\n")
    with caplog.at_level(logging.WARNING):
        found = found_elsewhere([shop], [shop / "scores"], erased)
    told = {"mail.csv": 1, "mail.parquet": 2}
    assert found == {erased.hash_of("7"): [f"{shop / name}: {n} rows" for name, n in told.items()]}
    assert [record.args[0] for record in caplog.records] == [shop / name for name in told]
    assert pl.read_parquet(shop / "mail.parquet").equals(rows)


def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, erased: ErasedIds, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "half.parquet").write_bytes(b"PAR1")
    assert found_elsewhere([tmp_path], [], erased) == {}
    assert "half.parquet cannot be read, and may hold erased customers" in caplog.text


def test_lists_of_any_separator_and_json_are_told(tmp_path: Path, erased: ErasedIds) -> None:
    (tmp_path / "a.csv").write_text("clv;customer_id\n1,5;7\n2;a\n")
    (tmp_path / "b.tsv").write_text("customer_id\tclv\n7\t1\n7\t2\n")
    (tmp_path / "c.json").write_text('{"best": [{"customer_id": "7"}, {"customer_id": "a"}]}')
    (tmp_path / "d.json").write_text("[7]")
    told = {"a.csv": 1, "b.tsv": 2, "c.json": 1}
    found = found_elsewhere([tmp_path], [], erased)
    assert found == {
        erased.hash_of("7"): [f"{tmp_path / name}: {n} rows" for name, n in told.items()]
    }
