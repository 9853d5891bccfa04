"""Parts of a scoring run: kept when it goes on, never of another run, and folders of others stay."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.folders import MANIFEST
from tests.builders import TinyShop
from tests.training.score.recipes import recipe
from training.score.job import score
from training.score.parts import ScoreParts, merge_scores, require_customers
from training.score.scorer import Scorer, score_parts


def test_parts_that_are_there_are_kept_and_every_customer_is_scored_once(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    parts = ScoreParts(tiny_artifact, tiny_shop.data, datetime(2025, 1, 1, tzinfo=UTC), folder)
    assert len(parts.missing()) >= 8
    scorer = Scorer(parts)
    for shard, piece in parts.missing()[:3]:
        scorer.score(shard, piece)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "00000-7.incomplete").write_bytes(b"half")
    shutil.copy(
        parts.file(*parts.numbers()[0]), folder / "00000-99.parquet"
    )  # of another split of the customers
    assert len(before) == 3 and not {path.name for path in before} & {
        parts.file(*part).name for part in parts.missing()
    }
    score_parts(parts, num_workers=2)
    assert (
        not parts.missing()
        and before.items() <= {path: path.stat().st_mtime_ns for path in folder.iterdir()}.items()
    )
    customers = {
        name for path in shard_paths(tiny_shop.data) for name in read_shard(path)["customer_id"]
    }
    assert require_customers(parts) == len(customers)
    merge_scores(parts, tmp_path)
    score(recipe(tiny_shop, tiny_artifact, tmp_path / "at-once", as_of=parts.as_of))
    once, again = (
        pl.read_parquet(place / "scores.parquet") for place in (tmp_path, tmp_path / "at-once")
    )
    assert set(once["customer_id"]) == customers and once.equals(again)
    assert not list(tmp_path.glob("at-once.parts*"))


def test_folders_of_others_beside_the_output_stay(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    for name in ("scores.parts-mine", "scores.parts-0123456789ab", "other.parts-0123456789ab"):
        (tmp_path / name).mkdir()
    (tmp_path / "scores.parts-list.txt").write_text("")
    for _ in range(2):
        score(recipe(tiny_shop, tiny_artifact, tmp_path / "scores"))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        "scores",
        "scores.parts-mine",
        "scores.parts-list.txt",
        "other.parts-0123456789ab",
    }


def test_scores_of_another_artifact_are_not_built_on(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    score(recipe(tiny_shop, tiny_artifact, before, as_of=datetime(2024, 8, 1, tzinfo=UTC)))
    score(
        recipe(tiny_shop, tiny_artifact, tmp_path / "after", previous=before)
    )  # no encoder: nothing is remembered
    score(recipe(tiny_shop, tiny_artifact, tmp_path / "anew"))
    after, anew = (
        pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("after", "anew")
    )
    assert after.equals(anew)
    manifest = json.loads((before / MANIFEST).read_text())
    (before / MANIFEST).write_text(json.dumps(manifest | {"artifact_files": "other"}))
    with pytest.raises(ValueError, match="previous: the scores .* were not made by what"):
        score(recipe(tiny_shop, tiny_artifact, tmp_path / "x", previous=before))
