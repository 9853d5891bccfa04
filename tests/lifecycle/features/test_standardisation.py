"""Standardisation: each rule against scikit-learn, and that only training rows have a say."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import RobustScaler, StandardScaler

from lifecycle.features.numbers import FEATURES
from lifecycle.features.standardisation import (
    StandardisationRules,
    fit_standardisation,
)
from tests.builders import TinyShop
from training.prepare.dataset import read_dataset
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

NAMES = ("skewed", "holes", "constant", "empty")


@pytest.fixture
def rows(tmp_path: Path) -> pl.DataFrame:
    """300 rows, written as train.parquet too."""
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "skewed": random.lognormal(3.0, 2.0, 300),
            "holes": [None if number % 3 == 0 else float(number) for number in range(300)],
            "constant": [7.0] * 300,
            "empty": pl.Series([None] * 300, dtype=pl.Float64),
        }
    )
    frame.write_parquet(tmp_path / "train.parquet")
    return frame


@pytest.mark.parametrize("transform", ["log1p", "none"])
@pytest.mark.parametrize("missing", ["zero", "median"])
@pytest.mark.parametrize("scale", ["standard", "robust", "none"])
def test_every_rule_equals_scikit_learn(
    rows: pl.DataFrame, tmp_path: Path, transform: str, missing: str, scale: str
) -> None:
    rules = StandardisationRules.model_validate(
        {"transform": transform, "missing": missing, "scale": scale}
    )
    found = fit_standardisation(tmp_path / "train.parquet", NAMES, rules).apply(rows, NAMES)
    numbers = rows.select(NAMES).to_numpy()
    numbers = np.log1p(numbers) if transform == "log1p" else numbers
    filled = SimpleImputer(
        strategy="constant" if missing == "zero" else "median",
        fill_value=0.0,
        keep_empty_features=True,
    ).fit_transform(numbers)
    scaler = {"standard": StandardScaler(), "robust": RobustScaler(), "none": None}[scale]
    np.testing.assert_allclose(
        found, filled if scaler is None else scaler.fit_transform(filled), atol=1e-9
    )


def test_negative_numbers_count_as_zero_under_the_logarithm_and_new_rows_do_not_move_the_scale(
    rows: pl.DataFrame, tmp_path: Path
) -> None:
    scale = fit_standardisation(tmp_path / "train.parquet", NAMES, StandardisationRules())
    new = pl.DataFrame(
        {name: [-5.0, None, 0.0] for name in NAMES}, schema=dict.fromkeys(NAMES, pl.Float64)
    )
    applied = scale.apply(new, NAMES)
    assert (applied == applied[2]).all()
    np.testing.assert_allclose(
        scale.apply(rows.head(1), NAMES), scale.apply(rows, NAMES)[:1], rtol=1e-12, atol=1e-12
    )


def test_statistics_in_dataset_json_are_of_the_training_rows_alone(
    tiny_shop: TinyShop, tmp_path: Path
) -> None:
    train = pl.read_parquet(tiny_shop.examples / "train.parquet")
    scale = read_dataset(tiny_shop.examples).standardisation
    applied = scale.apply(train, FEATURES)
    np.testing.assert_allclose(applied.mean(axis=0), 0.0, atol=1e-9)
    spread = applied.std(axis=0)
    assert (np.isclose(spread, 1.0) | np.isclose(spread, 0.0)).all()
    recipe = PrepareConfig.load(
        tiny_shop.examples / "prepare.yaml",
        [
            "standardisation.scale=robust",
            "standardisation.missing=median",
            f"output={tmp_path / 'robust'}",
        ],
    )
    prepare(recipe)
    other = read_dataset(tmp_path / "robust").standardisation
    assert other.rules == recipe.standardisation
    median = np.median(other.apply(train, ("total_spend",)))
    assert median == pytest.approx(0.0, abs=1e-9)


def test_rule_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="scale"):
        PrepareConfig.model_validate(
            {"data": "d", "output": "o", "standardisation": {"scale": "minmax"}}
        )
