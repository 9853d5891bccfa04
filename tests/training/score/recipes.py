"""The recipe that scores the tiny shop."""

from pathlib import Path

from tests.builders import TinyShop
from training.score.recipe import ScoreConfig


def recipe(shop: TinyShop, artifact: Path, output: Path, **changes: object) -> ScoreConfig:
    places = {"data": shop.data, "artifact": artifact, "output": output}
    return ScoreConfig.model_validate(places | changes)
