"""Who is erased: what came over HTTP, what the recipe says, and that each of them is known everywhere."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifecycle.erasure.keys import create_keys, read_keys
from lifecycle.erasure.tombstones import read_tombstones
from lifecycle.log.database import Log
from lifecycle.log.erasing import erase as erase_from_log
from lifecycle.log.erasing import lift
from lifecycle.log.opening import make_log
from lifecycle.log.reader import customers_since
from lifecycle.log.writer import Receipt, append
from tests.lifecycle.log.events import batch
from training.erase.job import erase
from training.erase.recipe import EraseConfig

NOW = datetime(2026, 6, 2, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    create_keys(tmp_path / "key.json", NOW)
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}", tmp_path / "key.json")
    append(log, [batch("a", "b"), batch("c", customer_id="c2")])
    yield log
    log.engine.dispose()


def recipe(tmp_path: Path, **changes: object) -> EraseConfig:
    fields = {
        "folders": [],
        "tombstones": tmp_path / "tombstones.json",
        "key": tmp_path / "key.json",
        "receipts": tmp_path / "receipts",
    }
    return EraseConfig.model_validate(fields | changes)


def receipt(tmp_path: Path, customer_id: str) -> dict[str, object]:
    name = read_keys(tmp_path / "key.json").newest.hash_of(customer_id)
    told: dict[str, object] = json.loads((tmp_path / "receipts" / f"{name}.json").read_text())
    return told


def test_tombstones_of_the_log_come_into_the_file(tmp_path: Path, log: Log) -> None:
    named = recipe(tmp_path, log=log.url)
    erase(named)
    assert read_tombstones(named.tombstones).generation == 0
    erase_from_log(log, "c1", NOW)
    erase(named)
    erase(named)
    known = read_tombstones(named.tombstones)
    assert (known.generation, len(known.in_force)) == (1, 1)
    assert receipt(tmp_path, "c1")["deleted"] == {"log": 2}
    lift(log, "c1", NOW)
    erase(named)
    assert not read_tombstones(named.tombstones).in_force
    assert receipt(tmp_path, "c1")["lifted_at"] is not None


def test_customers_of_the_recipe_are_erased_from_the_log_and_may_come_back(
    tmp_path: Path, log: Log
) -> None:
    erase(recipe(tmp_path, log=log.url, customers=["c1", "c1"]))
    assert customers_since(log, 0, ["c1", "c2"]).erased == {"c1"}
    assert append(log, [batch("d")]) == [Receipt(0, 0, 1)]
    erase(recipe(tmp_path, log=log.url, lift=["c1", "nobody"]))
    assert append(log, [batch("d")]) == [Receipt(1, 0, 0)]


def test_log_learns_who_was_erased_before_it_was_named(tmp_path: Path, log: Log) -> None:
    erase(recipe(tmp_path, customers=["c1", "c3"]))
    assert append(log, [batch("d")]) == [Receipt(1, 0, 0)]
    erase(recipe(tmp_path, log=log.url))
    assert customers_since(log, 0, ["c1", "c2", "c3"]).erased == {"c1", "c3"}
    assert customers_since(log, 0, ["c1", "c2"]).events["event_id"].to_list() == ["c"]
    erase(recipe(tmp_path, log=log.url))
    assert read_tombstones(tmp_path / "tombstones.json").generation == 1


def test_without_a_log_the_recipe_lifts_too(tmp_path: Path, log: Log) -> None:
    erase(recipe(tmp_path, customers=["c1", "c2"]))
    erase(recipe(tmp_path, customers=["c1"], lift=["c2"]))
    known = read_tombstones(tmp_path / "tombstones.json")
    assert (known.generation, len(known.in_force), len(known.tombstones)) == (1, 1, 2)


def test_what_cannot_be_is_named_before_anything_is_touched(tmp_path: Path, log: Log) -> None:
    for changes, words in (
        ({"folders": [tmp_path / "none"]}, "folders: .*none is no folder"),
        ({"models": [tmp_path / "key.json"]}, "models: .*key.json is no folder"),
        ({"folders": [tmp_path], "log": log.url}, "holds the log"),
        ({"log": f"sqlite:///{tmp_path / 'other.db'}"}, "there is no log at"),
        ({"key": tmp_path / "other.json"}, "other.json does not exist"),
    ):
        with pytest.raises(ValueError, match=words):
            erase(recipe(tmp_path, **changes))
    for customers in (["c1 "], [""]):
        with pytest.raises(ValueError, match="number 0 is empty, or begins or ends with a blank"):
            recipe(tmp_path, customers=customers)
    assert not (tmp_path / "tombstones.json").exists()
    (tmp_path / "tombstones.json").write_text("not JSON")
    with pytest.raises(ValueError, match="tombstones.json is damaged: it is not JSON"):
        erase(recipe(tmp_path, customers=["c1"]))


def test_older_copy_of_the_tombstones_is_refused(tmp_path: Path, log: Log) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "c1.json").write_text('{"customer_id": "c1"}')
    named = recipe(tmp_path, folders=[tmp_path / "profiles"])
    erase(named.model_copy(update={"customers": ("c1",)}))
    assert [path.name for path in (tmp_path / "profiles").iterdir()] == ["erasure.json"]
    (tmp_path / "tombstones.json").write_text("{}")
    with pytest.raises(ValueError, match="was cleaned at generation 1, and tombstones .* end at 0"):
        erase(named)
