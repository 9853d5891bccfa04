"""Cutoffs, splits and that training rows never see validation customers or the test window."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.builders import TinyShop
from training.evaluate.value.windows import read_example_sets
from training.prepare.dataset import BACKTEST, SAME_SEASON, Backtest, NoBacktest, read_dataset
from training.prepare.job import prepare
from training.prepare.recipe import (
    PrepareConfig,
    backtest_recipe,
    cutoffs_for,
    earlier_selection,
    same_season_recipe,
)
from training.prepare.splits import is_validation_customer


def config(**changes: object) -> PrepareConfig:
    values: dict[str, object] = {
        "data": "d",
        "output": "o",
        "horizon_days": 91,
        "test_cutoff": date(2017, 10, 1),
    }
    return PrepareConfig.model_validate(values | changes)


def test_training_cutoffs_step_back_in_weeks_from_one_horizon_before_test() -> None:
    test, train = cutoffs_for(config(num_train_cutoffs=4), date(2017, 1, 1), date(2018, 1, 1))
    assert test == date(2017, 10, 1)
    assert train == [date(2017, 4, 9), date(2017, 5, 7), date(2017, 6, 4), date(2017, 7, 2)]
    assert all(cutoff + timedelta(days=91) <= test for cutoff in train)


def test_without_a_test_cutoff_the_last_full_horizon_is_taken() -> None:
    test, _ = cutoffs_for(config(test_cutoff=None), date(2017, 1, 1), date(2017, 12, 31))
    assert test == date(2017, 10, 2)


def test_a_horizon_longer_than_the_data_is_refused_with_the_latest_cutoff() -> None:
    with pytest.raises(
        ValueError, match=r"horizon_days is 91 .* latest cutoff these data cover is 2017-09-02"
    ):
        cutoffs_for(config(), date(2017, 1, 1), date(2017, 12, 1))
    with pytest.raises(ValueError, match="longer than two horizons"):
        cutoffs_for(config(test_cutoff=date(2017, 3, 1)), date(2017, 1, 1), date(2017, 12, 1))


def test_a_training_cutoff_whose_labels_reach_into_test_is_refused() -> None:
    with pytest.raises(ValueError, match="ends after test_cutoff"):
        config(train_cutoffs=[date(2017, 8, 1)])


def test_splits_follow_the_contract(tiny_shop: TinyShop) -> None:
    train, val, test = (
        pl.read_parquet(tiny_shop.examples / f"{part}.parquet") for part in ("train", "val", "test")
    )
    facts = read_dataset(tiny_shop.examples)
    assert set(train["cutoff"].dt.date()) == set(facts.train_cutoffs)
    assert not set(train["customer_id"]) & set(val["customer_id"])
    assert is_validation_customer(val["customer_id"], 0).all()
    assert val["cutoff"].unique().to_list() == [train["cutoff"].max()]
    assert test["customer_id"].n_unique() == test.height
    assert set(train["fold"].unique()) == {0, 1, 2, 3, 4}
    by_customer = pl.concat([train, test]).group_by("customer_id").agg(pl.col("fold").n_unique())
    assert by_customer["fold"].max() == 1


def test_earlier_selection_window_ends_where_validation_begins_and_needs_a_horizon_of_history() -> (
    None
):
    latest = date(2017, 7, 2)
    assert earlier_selection(config(), date(2017, 1, 1), latest) == date(2017, 4, 2)
    assert earlier_selection(config(), date(2017, 1, 2), latest) is None


def test_earlier_selection_rows_are_of_validation_customers_and_disjoint_from_their_window(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    recipe = PrepareConfig.load(tiny_shop.examples / "prepare.yaml")
    prepare(recipe.model_copy(update={"horizon_days": 30, "output": tmp_path / "short"}))
    facts = read_dataset(tmp_path / "short")
    train, val, selection = (
        pl.read_parquet(tmp_path / "short" / f"{part}.parquet")
        for part in ("train", "val", "selection")
    )
    assert facts.num_rows["selection"] == selection.height > 0
    assert not set(train["customer_id"]) & set(selection["customer_id"])
    assert selection["cutoff"].unique().to_list() == [val["cutoff"][0] - timedelta(days=30)]
    assert selection.columns == val.columns
    assert read_example_sets(tmp_path / "short").selection.height == selection.height + val.height


def test_backtest_lies_one_horizon_earlier_or_half_of_one_where_the_dates_leave_no_more() -> None:
    whole = backtest_recipe(config(), date(2017, 1, 1), date(2017, 10, 1), 3)
    assert whole is not None and (whole.test_cutoff, whole.horizon_days) == (date(2017, 7, 2), 91)
    assert (whole.num_train_cutoffs, whole.output.name, whole.backtest) == (3, BACKTEST, False)
    half = backtest_recipe(config(), date(2017, 1, 2), date(2017, 10, 1), 3)
    assert half is not None and (half.test_cutoff, half.horizon_days) == (date(2017, 8, 17), 45)
    many = backtest_recipe(config(horizon_days=7), date(2017, 9, 1), date(2017, 9, 22), 12)
    assert many is not None and many.num_train_cutoffs == 3, "no more than its history has room for"
    assert len(cutoffs_for(many, date(2017, 9, 1), date(2017, 12, 1))[1]) == 3
    assert backtest_recipe(config(), date(2017, 5, 20), date(2017, 10, 1), 3) is None
    assert backtest_recipe(config(backtest=False), date(2017, 1, 1), date(2017, 10, 1), 3) is None


def test_same_season_lies_a_year_earlier_where_a_horizon_lies_before_its_training_cutoff() -> None:
    test = date(2017, 10, 1)
    found = same_season_recipe(config(), date(2016, 4, 2), test, 3)
    assert found is not None and found.test_cutoff == date(2016, 10, 1)
    assert (found.horizon_days, found.output.name, found.backtest) == (91, SAME_SEASON, False)
    assert same_season_recipe(config(), date(2016, 4, 3), test, 3) is None
    assert same_season_recipe(config(horizon_days=365), date(2001, 1, 1), test, 3) is None
    assert same_season_recipe(config(backtest=False), date(2001, 1, 1), test, 3) is None


def test_backtest_is_what_the_same_recipe_makes_for_its_cutoff(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    inner = tiny_shop.examples / BACKTEST
    outer = read_dataset(tiny_shop.examples)
    facts = read_dataset(inner)
    assert outer.backtest == Backtest(
        test_cutoff=facts.test_cutoff, horizon_days=facts.horizon_days
    )
    assert facts.test_cutoff + timedelta(days=facts.horizon_days) == outer.test_cutoff
    prepare(
        PrepareConfig.load(inner / "prepare.yaml").model_copy(update={"output": tmp_path / "alone"})
    )
    for part in ("train", "val", "test"):
        alone, found = (
            pl.read_parquet(folder / f"{part}.parquet") for folder in (tmp_path / "alone", inner)
        )
        assert alone.equals(found)


def test_without_history_for_a_backtest_dataset_json_says_so(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    recipe = PrepareConfig.load(tiny_shop.examples / "prepare.yaml")
    prepare(
        recipe.model_copy(
            update={"horizon_days": 160, "test_cutoff": None, "output": tmp_path / "long"}
        )
    )
    told = read_dataset(tmp_path / "long").backtest
    assert isinstance(told, NoBacktest) and "begin too late" in told.why
    assert (
        not (tmp_path / "long" / BACKTEST).exists()
        and read_example_sets(tmp_path / "long").backtest is None
    )


def test_targets_equal_a_sum_over_the_raw_lines(tiny_shop: TinyShop) -> None:
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    lines = pl.read_csv(tiny_shop.lines, try_parse_dates=True)
    window = lines.filter(
        (pl.col("at") >= date(2024, 10, 30)) & (pl.col("at") < date(2024, 12, 29))
    )
    for column, rows in (("target", window.filter(pl.col("amount") >= 0)), ("actual_net", window)):
        sums = dict(rows.group_by("customer").agg(pl.col("amount").sum()).iter_rows())
        expected = [sums.get(customer, 0.0) for customer in test["customer_id"]]
        assert test[column].to_list() == pytest.approx(expected)


def test_another_seed_draws_other_validation_customers_and_folds(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    recipe = PrepareConfig.load(tiny_shop.examples / "prepare.yaml")
    prepare(recipe.model_copy(update={"seed": 7, "output": tmp_path / "other"}))
    first, other = (
        pl.read_parquet(folder / "val.parquet")
        for folder in (tiny_shop.examples, tmp_path / "other")
    )
    assert set(first["customer_id"]) != set(other["customer_id"])
    assert is_validation_customer(other["customer_id"], 7).all()
    folds = [
        pl.read_parquet(folder / "test.parquet")["fold"].to_list()
        for folder in (tiny_shop.examples, tmp_path / "other")
    ]
    assert folds[0] != folds[1]


def test_keys_that_a_split_does_not_use_are_named_and_change_nothing(
    tiny_shop: TinyShop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = PrepareConfig(data=tiny_shop.data, split="leave_one_out", output=tmp_path / "loo")
    prepare(recipe)
    assert "ignores" not in caplog.text
    prepare(
        PrepareConfig(
            data=tiny_shop.data, split="leave_one_out", output=tmp_path / "loo", horizon_days=30
        )
    )
    prepare(
        PrepareConfig(
            data=tiny_shop.data, split="leave_one_out", output=tmp_path / "loo-2", horizon_days=30
        )
    )
    assert "ignores horizon_days" in caplog.text


def test_leave_one_out_takes_the_last_purchase_as_test_and_the_one_before_as_validation(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    prepare(PrepareConfig(data=tiny_shop.data, split="leave_one_out", output=tmp_path / "loo"))
    train, val, test = (
        pl.read_parquet(tmp_path / "loo" / f"{part}.parquet") for part in ("train", "val", "test")
    )
    assert test["customer_id"].n_unique() == test.height
    both = test.join(val, on="customer_id", suffix="_val")
    assert (both["position"] - both["position_val"]).unique().to_list() == [1]
    latest = train.group_by("customer_id").agg(pl.col("position").max().alias("train_position"))
    assert (
        (
            val.join(latest, on="customer_id").select(pl.col("position") - pl.col("train_position"))
            == 1
        )
        .to_series()
        .all()
    )


def test_preparing_twice_changes_nothing_and_another_recipe_is_refused(tiny_shop: TinyShop) -> None:
    recipe = PrepareConfig.load(tiny_shop.examples / "prepare.yaml")
    before = (tiny_shop.examples / "manifest.json").read_bytes()
    prepare(recipe)
    assert (tiny_shop.examples / "manifest.json").read_bytes() == before
    with pytest.raises(ValueError, match="other inputs: horizon_days was 60 and is 30; delete"):
        prepare(recipe.model_copy(update={"horizon_days": 30}))
