"""Ingest with tombstones: erased customers are left out and counted, and what is older is refused."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.erasure.keys import create_keys
from lifecycle.events.shards import read_data_manifest
from lifecycle.log.erasing import erase as erase_from_log
from lifecycle.log.opening import make_log
from tests.training.ingest.recipes import log as table
from tests.training.ingest.recipes import recipe, run
from training.erase.job import erase
from training.erase.recipe import EraseConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig

NOW = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)
LINES = (
    "1,2024-01-01,A,5",
    "2,2024-01-03,B,9",
    "1,2024-01-02,A,-5",
    "2,2024-01-04,B,-9",
    "3,2024-01-05,A,4",
)
KIND = {"sql": "CASE WHEN a < 0 THEN 'refund' ELSE 'purchase' END"}


def config(tmp_path: Path, name: str = "data", **changes: object) -> IngestConfig:
    (tmp_path / "people.csv").write_text("id,town\n1,Oslo\n2,Bergen\n4,Bergen\n")
    people = {"path": str(tmp_path / "people.csv")}
    people |= {"columns": {"customer_id": "id", "town": "town"}}  # type: ignore[dict-item]
    source = table(tmp_path / "a.csv", *LINES, kind=KIND)
    changes = {"min_matched_share": 0.1, "key": tmp_path / "key.json"} | changes
    return recipe(tmp_path / name, source, customers=people, **changes)


def erasing(tmp_path: Path, *folders: str, **changes: object) -> EraseConfig:
    fields = {
        "folders": [tmp_path / name for name in folders],
        "tombstones": tmp_path / "tombstones.json",
        "key": tmp_path / "key.json",
        "receipts": tmp_path / "receipts",
    }
    return EraseConfig.model_validate(fields | changes)


@pytest.fixture(autouse=True)
def key(tmp_path: Path) -> Path:
    create_keys(tmp_path / "key.json", NOW)
    return tmp_path / "key.json"


def test_erased_are_left_out_and_counted(tmp_path: Path) -> None:
    erase(erasing(tmp_path, customers=["2", "4"]))
    events, report = run(config(tmp_path, tombstones=tmp_path / "tombstones.json"))
    assert events["customer_id"].to_list() == ["1", "1", "3"]
    dropped = report["account"]["dropped"]["erased"]
    assert (dropped["rows"], dropped["purchases"], dropped["refunds"]) == (2, 9.0, -9.0)
    assert report["tables"]["customers"]["dropped"] == {"erased": 2}
    assert pl.read_parquet(tmp_path / "data" / "customers.parquet")["customer_id"].to_list() == [
        "1"
    ]
    erasure = read_data_manifest(tmp_path / "data").erasure
    assert erasure is not None and (erasure.generation, erasure.rows) == (1, {})


@pytest.mark.integration
def test_data_that_are_cleaned_equal_those_that_are_ingested_anew(tmp_path: Path) -> None:
    (tmp_path / "tombstones.json").write_text("{}")
    before = config(tmp_path, tombstones=tmp_path / "tombstones.json", quality_html=True)
    ingest(before)
    ingest(before)  # which is complete already
    erase(erasing(tmp_path, customers=["2"]))
    with pytest.raises(ValueError, match=r"data is older than tombstones .*run python -m training"):
        ingest(before)
    erase(erasing(tmp_path, "data"))
    ingest(before)
    anew = before.model_copy(update={"output": tmp_path / "anew"})
    ingest(anew)
    names = sorted(path.relative_to(tmp_path / "anew") for path in anew.output.rglob("*.parquet"))
    assert len(names) == 6
    names.remove(Path("items.parquet"))  # what only the erased bought stays in the catalogue
    for name in names:
        cleaned = pl.read_parquet(tmp_path / "data" / name)
        assert cleaned.equals(pl.read_parquet(tmp_path / "anew" / name)), name
    one, other = (read_data_manifest(tmp_path / name) for name in ("data", "anew"))
    assert one.identity == other.identity
    assert (one.num_events, one.num_customers) == (other.num_events, other.num_customers)


def test_tombstones_of_the_log_hold_for_the_export(tmp_path: Path, key: Path) -> None:
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}", key)
    erase_from_log(log, "2", NOW)
    events, report = run(config(tmp_path, log={"url": log.url}))
    assert set(events["customer_id"]) == {"1", "3"}
    assert report["rows_dropped"]["erased"] == 2
    log.engine.dispose()


def test_tombstones_need_file_and_key(tmp_path: Path, key: Path) -> None:
    named = config(tmp_path, tombstones=tmp_path / "tombstones.json")
    with pytest.raises(
        ValueError, match="there is no such file; python -m training.erase makes it"
    ):
        ingest(named)
    erase(erasing(tmp_path, customers=["2"]))
    key.chmod(0o644)
    with pytest.raises(ValueError, match="others may use it; run: chmod 600"):
        ingest(named)
    key.unlink()
    with pytest.raises(ValueError, match=r"key.json does not exist"):
        ingest(named)
    assert not (tmp_path / "data").exists()
