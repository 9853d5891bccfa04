"""What the arena refuses before it fits anything."""

import json
import shutil
from pathlib import Path

import pytest

from tests.builders import TinyShop
from training.evaluate.inputs import read_inputs
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig


@pytest.fixture
def examples(tiny_shop: TinyShop, tmp_path: Path) -> Path:
    """The tiny shop's examples, to be spoiled."""
    return Path(shutil.copytree(tiny_shop.examples, tmp_path / "examples"))


def recipe(shop: TinyShop, examples: Path, **changes: object) -> EvaluateConfig:
    places = {"data": shop.data, "examples": examples, "output": examples.parent / "arena"}
    return EvaluateConfig.model_validate(places | changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data_identity": "another shop"}, "prepared from other data"),
        ({"features": ["recency_days"]}, "another version; prepare again"),
        ({"prompt_version": "value-0"}, "another version; prepare again"),
    ],
)
def test_examples_that_do_not_fit_are_refused_and_nothing_is_written(
    tiny_shop: TinyShop, examples: Path, change: dict[str, object], message: str
) -> None:
    facts = json.loads((examples / "dataset.json").read_text())
    (examples / "dataset.json").write_text(json.dumps(facts | change))
    with pytest.raises(ValueError, match=message):
        evaluate(recipe(tiny_shop, examples))
    assert not (examples.parent / "arena").exists()


def test_folders_that_are_missing_or_of_another_kind_are_named(
    tiny_shop: TinyShop, examples: Path
) -> None:
    with pytest.raises(ValueError, match=r"nowhere does not exist; train .* members=\{\}"):
        read_inputs(recipe(tiny_shop, examples, members={"text_llama": "nowhere"}))
    with pytest.raises(ValueError, match="base_model 'nowhere'"):
        read_inputs(recipe(tiny_shop, examples, base_model="nowhere"))
    with pytest.raises(ValueError, match="holds 'data', not 'examples'"):
        read_inputs(recipe(tiny_shop, tiny_shop.data))


def test_identity_follows_what_changes_the_result_alone(
    tiny_shop: TinyShop, examples: Path
) -> None:
    identity = read_inputs(recipe(tiny_shop, examples)).identity
    assert (
        read_inputs(recipe(tiny_shop, examples, num_workers=1, output="elsewhere")).identity
        == identity
    )
    assert read_inputs(recipe(tiny_shop, examples, seed=1)).identity != identity
    assert read_inputs(recipe(tiny_shop, examples, clv={"period_days": 7})).identity != identity
