"""What serves after a refit, and whose thresholds it has."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lifecycle.artifact.files import load_artifact
from lifecycle.spend.stack import MemberShare
from tests.builders import TinyShop
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.served import served
from training.evaluate.value.windows import ExampleSets, read_example_sets, target_of
from training.prepare.dataset import read_dataset


def inputs_of(shop: TinyShop, output: Path, *, refit: bool) -> Inputs:
    places = {"data": shop.data, "examples": shop.examples, "output": output}
    return read_inputs(EvaluateConfig.model_validate(places | {"refit": refit}))


@pytest.fixture(scope="module")
def sets(tiny_shop: TinyShop) -> ExampleSets:
    return read_example_sets(tiny_shop.examples)


def test_without_a_refit_the_judged_serves_and_is_introduced_with_the_test_customers(
    tiny_artifact: Path, tiny_shop: TinyShop, sets: ExampleSets, tmp_path: Path
) -> None:
    judged = load_artifact(tiny_artifact)
    predicted = target_of(sets.test)
    found = served(inputs_of(tiny_shop, tmp_path, refit=False), judged, sets, predicted)
    assert found.artifact is judged and found.refitted_at is None
    assert found.known["customer_id"].equals(sets.test["customer_id"])
    np.testing.assert_array_equal(found.spend, predicted)


def test_thresholds_stay_where_encoders_have_not_read_the_later_customers(
    tiny_artifact: Path,
    tiny_shop: TinyShop,
    sets: ExampleSets,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    judged = load_artifact(tiny_artifact)
    assert judged.settings.champion == "stack" and judged.models.stack is not None
    with_encoder = replace(judged.models.stack, members={"text_llama": MemberShare(1.0, 0.5)})
    judged = replace(judged, models=replace(judged.models, stack=with_encoder))
    predicted = target_of(sets.test)
    found = served(inputs_of(tiny_shop, tmp_path, refit=True), judged, sets, predicted)
    assert found.refitted_at is not None
    assert found.artifact.models.btyd != judged.models.btyd
    assert found.artifact.settings.thresholds == judged.settings.thresholds
    cutoff = str(read_dataset(tiny_shop.examples).test_cutoff)
    assert found.artifact.manifest.segments_as_of == cutoff
    assert found.known.height == sets.test.height
    assert f"segments keep the thresholds of {cutoff}" in caplog.text
