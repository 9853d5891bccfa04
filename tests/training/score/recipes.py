"""The recipe that scores the tiny shop."""

import shutil
from pathlib import Path

import polars as pl

from tests.builders import TinyShop
from training.score.recipe import ScoreConfig


def recipe(shop: TinyShop, artifact: Path, output: Path, **changes: object) -> ScoreConfig:
    places = {"data": shop.data, "artifact": artifact, "output": output}
    return ScoreConfig.model_validate(places | changes)


def write_registered(shop: TinyShop, folder: Path) -> Path:
    """The tiny shop's data with a customer who is registered, and never did anything."""
    shutil.copytree(shop.data, folder)
    pl.DataFrame({"customer_id": ["never seen"]}).write_parquet(folder / "customers.parquet")
    return folder
