"""Audiences: who is in them, who is held out, and conditions that are refused."""

from pathlib import Path

import polars as pl
import pytest

from tests.builders import TinyShop
from training.audience import AudienceConfig, audience
from training.score.job import score
from training.score.recipe import ScoreConfig


@pytest.fixture(scope="module")
def scores(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("audience") / "scores"
    score(ScoreConfig(data=tiny_shop.data, artifact=tiny_artifact, output=folder))
    return folder


def recipe(scores: Path, output: Path, **changes: object) -> AudienceConfig:
    places = {
        "scores": scores,
        "output": output / "audience.csv",
        "where": "segment IN ('top', 'high')",
    }
    return AudienceConfig.model_validate(places | changes)


def test_audience_is_who_fits_the_highest_first(scores: Path, tmp_path: Path) -> None:
    audience(recipe(scores, tmp_path, limit=5))
    written = pl.read_csv(tmp_path / "audience.csv", schema_overrides={"customer_id": pl.String})
    fitting = pl.read_parquet(scores / "scores.parquet").filter(
        pl.col("segment").is_in(["top", "high"])
    )
    assert fitting.height > 5
    assert (
        written["customer_id"].to_list()
        == fitting.sort("clv", descending=True)["customer_id"].to_list()[:5]
    )
    assert written.columns == ["customer_id", "clv", "segment", "stage", "next_best_action"]
    assert [path.name for path in tmp_path.iterdir()] == ["audience.csv"]


def test_who_is_held_out_is_the_same_in_every_export(scores: Path, tmp_path: Path) -> None:
    everybody = {}
    for number, changes in enumerate(({"where": "clv > -1e9"}, {}, {"salt": "other"})):
        audience(recipe(scores, tmp_path, holdout=0.5, **changes))
        written = pl.read_csv(
            tmp_path / "audience.csv", schema_overrides={"customer_id": pl.String}
        )
        everybody[number] = dict(written.select("customer_id", "group").iter_rows())
    assert set(everybody[0].values()) == {"contact", "holdout"}
    assert everybody[1].items() <= everybody[0].items() and everybody[2] != everybody[1]
    share = list(everybody[0].values()).count("holdout") / len(everybody[0])
    assert 0.3 < share < 0.7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"where": "segmnt = 'top'"}, "where: .*segmnt"),
        ({"where": "clv + 1"}, "where: .*is no condition"),
        ({"where": "segment = 'gold'"}, "none of the .* customers fits"),
        (
            {"columns": ["customer_id", "email"]},
            "no column 'email' for CSV; columns are customer_id",
        ),
        ({"columns": ["clv", "clv"]}, "columns names 'clv' twice"),
        ({"order_by": "value"}, "order_by: scores have no column 'value' for CSV"),
    ],
)
def test_bad_recipes_are_refused_and_leave_nothing(
    scores: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        audience(recipe(scores, tmp_path, **changes))
    assert not list(tmp_path.iterdir())
