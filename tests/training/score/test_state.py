"""Customer state: the bytes that the service would send for everybody, made with the scores or alone."""

import random
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.folders import verify
from lifecycle.state.answers import encoded
from lifecycle.state.files import CUSTOMERS_FILE, STATE_KIND, read_state_manifest
from lifecycle.state.lookup import CustomerState
from serving.api.histories import Customer
from serving.api.scoring import queries_of
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from tests.builders import TinyShop, rewrite_manifest
from tests.training.score.recipes import recipe, write_registered
from training.score.job import score
from training.score.recipe import SCORES_FILE, ScoreConfig


def test_state_holds_what_the_service_computes_byte_for_byte(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    data = write_registered(tiny_shop, tmp_path / "data")
    score(ScoreConfig(data=data, artifact=tiny_artifact, state=tmp_path / "state"))
    verify(tmp_path / "state", STATE_KIND)
    state = CustomerState(tmp_path / "state")
    everybody = pl.read_parquet(tmp_path / "state" / CUSTOMERS_FILE)["customer_id"].to_list()
    assert everybody == sorted(everybody) and "never seen" in everybody
    assert read_state_manifest(tmp_path / "state").num_customers == len(everybody)
    store, predictor = EventStore(data), Predictor(tiny_artifact)
    asked = random.Random(0).sample(everybody, len(everybody) - 1)
    sizes = [1, 2, 5, len(asked) - 8]
    for start, size in zip((0, 1, 3, 8), sizes, strict=True):
        batch = asked[start : start + size]
        queries = queries_of(store, [Customer(customer_id=name) for name in batch])
        computed = [encoded(answer) for answer in predictor.value(queries)]
        assert computed == [state.find(name) for name in batch]


def test_scores_and_state_come_out_of_one_run(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    plain = recipe(tiny_shop, tiny_artifact, tmp_path / "plain")
    score(plain)
    both = recipe(
        tiny_shop, tiny_artifact, tmp_path / "scores", explain=True, state=tmp_path / "state"
    )
    score(both)
    alone = pl.read_parquet(tmp_path / "plain" / SCORES_FILE)
    scores = pl.read_parquet(tmp_path / "scores" / SCORES_FILE)
    table = pl.read_parquet(tmp_path / "state" / CUSTOMERS_FILE)
    assert scores.drop("explanation").equals(alone)
    assert table.equals(alone.sort("customer_id"))
    written_at = (tmp_path / "state" / CUSTOMERS_FILE).stat().st_mtime_ns
    score(both)  # all is there
    assert (tmp_path / "state" / CUSTOMERS_FILE).stat().st_mtime_ns == written_at
    assert {path.name for path in tmp_path.iterdir()} == {"plain", "scores", "state"}


def test_state_of_other_data_is_not_replaced(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    config = ScoreConfig(data=tiny_shop.data, artifact=tiny_artifact, state=tmp_path / "state")
    score(config)
    data = tmp_path / "data"
    shutil.copytree(tiny_shop.data, data)
    rewrite_manifest(data, identity="another export")
    with pytest.raises(ValueError, match="content of data was .* and is .another expo"):
        score(config.model_copy(update={"data": data}))


@pytest.mark.parametrize(
    "changes",
    [
        {"previous": "before", "output": "scores"},
        {"as_of": datetime(2024, 8, 1, tzinfo=UTC)},
        {"explain": "events"},
    ],
)
def test_state_holds_nothing_but_default_answers(changes: dict[str, object]) -> None:
    places = {"data": "data", "artifact": "artifact", "state": "state"}
    name = next(iter(changes))
    with pytest.raises(ValueError, match=f"state holds default answers.*leave out {name}"):
        ScoreConfig.model_validate(places | changes)


def test_something_must_be_written() -> None:
    with pytest.raises(ValueError, match="neither output nor state is given"):
        ScoreConfig.model_validate({"data": "data", "artifact": "artifact"})
