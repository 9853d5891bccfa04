"""What can be scored: instants, and data that fit the artifact."""

from datetime import UTC, date, datetime
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

from lifecycle.erasure.keys import create_keys
from lifecycle.erasure.tombstones import Tombstone, Tombstones, write_tombstones
from tests.builders import TinyShop, rewrite_manifest
from tests.training.ingest.recipes import ingest_in_euros
from tests.training.score.recipes import recipe
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.score.inputs import read_inputs
from training.score.job import score
from training.score.recipe import ScoreConfig


def test_before_the_first_event_there_is_nobody_to_score(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    config = recipe(
        tiny_shop, tiny_artifact, tmp_path / "scores", as_of=datetime(2020, 1, 1, tzinfo=UTC)
    )
    with pytest.raises(ValueError, match="no customer with an event before 2020-01-01"):
        score(config)
    assert not list(tmp_path.iterdir())


def test_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="as_of"):
        ScoreConfig.model_validate(
            {"data": "a", "artifact": "b", "output": "c", "as_of": "2024-01-01T07:00:00"}
        )


def test_date_is_its_midnight_in_utc(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    score(
        ScoreConfig.model_validate(
            {
                "data": tiny_shop.data,
                "artifact": tiny_artifact,
                "output": tmp_path / "s",
                "as_of": date(2024, 8, 1),
            }
        )
    )
    scores = pl.read_parquet(tmp_path / "s" / "scores.parquet")
    assert scores["as_of"].unique().to_list() == [datetime(2024, 8, 1, tzinfo=UTC)]


def test_data_in_another_currency_are_refused(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    ingest_in_euros(tiny_shop, tmp_path / "data")
    config = ScoreConfig(data=tmp_path / "data", artifact=tiny_artifact, output=tmp_path / "scores")
    with pytest.raises(ValueError, match="the data are in EUR, but artifact .* was made in USD"):
        score(config)


def test_data_of_another_shop_and_a_far_day_are_not_scored_in_silence(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = {"c": ["a", "b"], "t": ["2024-01-01", "2024-05-01"], "i": ["x", "y"], "m": [1.0, 2.0]}
    pl.DataFrame(lines).write_csv(tmp_path / "lines.csv")
    columns = {"customer_id": "c", "occurred_at": "t", "item_id": "i", "amount": "m"}
    source = {"path": str(tmp_path / "lines.csv"), "format": "csv", "columns": columns}
    other = {"sources": [source], "output": tmp_path / "data", "quality_html": False}
    ingest(IngestConfig.model_validate(other))
    read_inputs(ScoreConfig(data=tmp_path / "data", artifact=tiny_artifact, output=tmp_path / "s"))
    assert "0 of 2 items of" in caplog.text and "is it the artifact of this shop?" in caplog.text
    caplog.clear()
    read_inputs(recipe(tiny_shop, tiny_artifact, tmp_path / "s"))
    assert "this shop" not in caplog.text and "counts as silent" not in caplog.text
    read_inputs(recipe(tiny_shop, tiny_artifact, tmp_path / "s", as_of=date(2099, 1, 1)))
    assert "days after the last event" in caplog.text


def test_parts_from_before_an_erasure_are_not_gone_on_with(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    copytree(tiny_shop.data, tmp_path / "data")
    key, tombstones = tmp_path / "key.json", tmp_path / "tombstones.json"
    tombstone = Tombstone(
        key=create_keys(key, datetime.now(UTC)).newest.id,
        sha256="0" * 64,
        erased_at=datetime.now(UTC),
    )
    write_tombstones(tombstones, Tombstones().with_others([tombstone]))
    config = recipe(tiny_shop, tiny_artifact, tmp_path / "s", data=tmp_path / "data")
    before = read_inputs(config)
    erasure = {"generation": 1, "tombstones": str(tombstones), "key": str(key)}
    rewrite_manifest(tmp_path / "data", erasure=erasure)
    after = read_inputs(config)
    assert before.scores.identity == after.scores.identity
    assert before.parts.folder != after.parts.folder
