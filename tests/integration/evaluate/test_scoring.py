"""Batch scores by a LLaMA: only customers with new events are read again, and a killed worker loses nobody."""

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import ray

from lifecycle.events.shards import read_shard, shard_paths
from tests.builders import TinyShop
from tests.integration.evaluate.artifacts import stacked
from tests.integration.runs import finish, processes_of, start
from training.distributed.cluster import start_ray

pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.mark.thorough
def test_encoders_read_only_customers_with_new_events(
    arena: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    from training.score.job import score
    from training.score.member_cache import MEMBERS_FILE
    from training.score.recipe import ScoreConfig

    artifact = stacked(arena / "artifact", tmp_path / "artifact")
    first, later = datetime(2024, 10, 27, tzinfo=UTC), datetime(2024, 10, 30, tzinfo=UTC)
    common = {"data": tiny_shop.data, "artifact": artifact}
    score(ScoreConfig.model_validate(common | {"output": tmp_path / "first", "as_of": first}))
    again = {"output": tmp_path / "later", "as_of": later, "previous": tmp_path / "first"}
    score(ScoreConfig.model_validate(common | again))
    score(ScoreConfig.model_validate(common | {"output": tmp_path / "anew", "as_of": later}))
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    active = set(
        events.filter(pl.col("occurred_at").is_between(first, later, closed="left"))["customer_id"]
    )
    members = pl.read_parquet(tmp_path / "later" / MEMBERS_FILE)
    read_again = set(members.filter(pl.col("computed_at") == later)["customer_id"])
    assert (
        active
        and read_again == active & set(members["customer_id"])
        and len(read_again) < members.height / 2
    )
    cached, anew = (
        pl.read_parquet(tmp_path / name / "scores.parquet") for name in ("later", "anew")
    )
    both = cached.join(anew, on="customer_id", suffix="_anew")
    assert both.height == cached.height == anew.height
    moved = both.filter((pl.col("clv") / pl.col("clv_anew") - 1).abs() > 1e-4)["customer_id"]
    assert moved.len() and not set(moved) & active


@pytest.mark.thorough
def test_killed_worker_of_batch_scoring_is_replaced_and_nobody_is_lost(
    arena: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    from training.score.job import score
    from training.score.recipe import ScoreConfig

    artifact = stacked(arena / "artifact", tmp_path / "artifact")
    recipe = ScoreConfig(data=tiny_shop.data, artifact=artifact, output=tmp_path / "scores")
    recipe.save(tmp_path / "score.yaml")
    start_ray()
    process = start(
        tmp_path / "score.yaml", ray.get_runtime_context().gcs_address, module="training.score"
    )
    give_up_at = time.monotonic() + 60
    while not (workers := processes_of("Scorer")):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    workers[0].kill()
    log = finish(process)
    assert "8/8 parts (100 %)" in log
    score(recipe.model_copy(update={"num_workers": 1, "output": tmp_path / "alone"}))
    found, alone = (
        pl.read_parquet(folder / "scores.parquet") for folder in (recipe.output, tmp_path / "alone")
    )
    assert found["customer_id"].to_list() == alone["customer_id"].to_list()
    np.testing.assert_allclose(found["clv"].to_numpy(), alone["clv"].to_numpy(), rtol=1e-5)
