"""Audiences: who is in them, who is held out, cells safe for spreadsheets, and conditions that are refused."""

import csv
import logging
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.folders import write_manifest
from tests.builders import TinyShop
from training.audience.job import audience
from training.audience.recipe import AudienceConfig
from training.score.job import score
from training.score.recipe import SCORES_KIND, ScoreConfig, ScoresManifest


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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audience.csv", "audience.parquet"]


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


FORMULA = '=HYPERLINK("http://x.example/","me")'
IDS = (FORMULA, "+49 170", "-7", " ＝A1", "c-1")


@pytest.fixture
def hostile_scores(tmp_path: Path) -> Path:
    """Scores of customers whose ids run in a spreadsheet, but for the last."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    table = {"customer_id": IDS, "clv": [5.0, 4.0, 3.0, -2.0, -12.5], "segment": ["top"] * 5}
    pl.DataFrame(table).write_parquet(folder / "scores.parquet")
    content = {"identity": "x", "as_of": datetime(2024, 1, 1, tzinfo=UTC), "model": "stack"}
    about = content | {"artifact_files": "y", "num_customers": 5}
    write_manifest(folder, SCORES_KIND, ScoresManifest.model_validate(about))
    return folder


def ids_in(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row["customer_id"] for row in csv.DictReader(file)]


def test_ids_that_a_spreadsheet_would_run_are_made_harmless_counted_and_kept_exact_beside(
    hostile_scores: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    columns = ["customer_id", "clv", "segment"]
    config = recipe(hostile_scores, tmp_path, columns=columns, holdout=0.5)
    with caplog.at_level(logging.INFO, logger="training.audience.job"):
        audience(config)
    assert ids_in(config.output) == [*(f"'{name}" for name in IDS[:4]), "c-1"]
    assert ",-12.5," in config.output.read_text()  # a number stays one
    exact = pl.read_parquet(tmp_path / "audience.parquet")
    assert exact["customer_id"].to_list() == list(IDS)
    assert exact.columns == [*columns, "group"]
    assert "5 of 5 customers; 4 cells made safe for spreadsheets" in caplog.messages[-1]


def test_cells_are_written_as_they_are_where_the_recipe_says_so(
    hostile_scores: Path, tmp_path: Path
) -> None:
    columns = ["customer_id", "clv"]
    config = recipe(hostile_scores, tmp_path, columns=columns, spreadsheet_safe=False)
    audience(config)
    assert ids_in(config.output) == list(IDS)


def test_csv_does_not_take_the_place_of_the_parquet_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is CSV, and list.parquet is the name"):
        AudienceConfig(scores=tmp_path, where="true", output=tmp_path / "list.parquet")


def test_csv_does_not_call_itself_a_workbook(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is CSV, which no spreadsheet opens under that name"):
        AudienceConfig(scores=tmp_path, where="true", output=tmp_path / "list.XLSX")


def test_folder_in_the_place_of_the_list_is_refused(scores: Path, tmp_path: Path) -> None:
    config = recipe(scores, tmp_path)
    config.output.mkdir(parents=True)
    with pytest.raises(ValueError, match=f"output: {config.output} is a folder; name a CSV file"):
        audience(config)
    assert list(config.output.parent.iterdir()) == [config.output]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"where": "clv > 'much'"}, r"is no condition on the scores: [^\n]*numeric[^\n]*$"),
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


def test_an_audience_that_is_replaced_is_told_with_who_leaves_and_who_joins(
    scores: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told(**changes: object) -> list[str]:
        caplog.clear()
        audience(recipe(scores, tmp_path, **changes))
        return [one.getMessage() for one in caplog.records if "replaced" in one.getMessage()]

    assert told(where="segment = 'top'") == []
    top = pl.read_parquet(tmp_path / "audience.parquet").height
    assert told(where="segment = 'top'") == [], "the same again"
    [line] = told(where="segment = 'high'")
    high = pl.read_parquet(tmp_path / "audience.parquet").height
    assert f"of {top} customers before {top} leave, and {high} others join" in line
    [line] = told(where="segment = 'high'", columns=["clv"])
    assert f"{high} rows before, {high} now" in line
    (tmp_path / "audience.parquet").unlink()
    [line] = told(where="segment = 'high'")
    assert "audience.csv is replaced" in line
