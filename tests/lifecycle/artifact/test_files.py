"""Artifacts: what they hold, and which of them are refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.answers import examples_for, labels_for, values_for
from lifecycle.artifact.contents import Settings
from lifecycle.artifact.files import load_artifact
from lifecycle.decisions.stages import STAGES
from lifecycle.events.history import KEYS
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.features.numbers import FEATURES
from lifecycle.folders import MANIFEST
from lifecycle.names import BTYD_MODELS
from lifecycle.value.costs import CostRate
from tests.builders import TinyShop, rewrite_manifest


@pytest.fixture
def copy(tiny_artifact: Path, tmp_path: Path) -> Path:
    """The tiny artifact, to be spoiled."""
    return Path(shutil.copytree(tiny_artifact, tmp_path / "artifact"))


@pytest.mark.parametrize(
    "name", ["lightgbm.txt", "settings.json", "btyd.json", "rankers/items.parquet"]
)
def test_damaged_and_missing_files_are_refused_by_name(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"damaged: {name}"):
        load_artifact(copy)
    (copy / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        load_artifact(copy)


def test_incomplete_missing_and_foreign_folders_are_refused(
    copy: Path, tiny_shop: TinyShop
) -> None:
    with pytest.raises(ValueError, match="does not know.*notes.txt"):
        (copy / "notes.txt").write_text("mine")
        load_artifact(copy)
    (copy / MANIFEST).unlink()
    with pytest.raises(ValueError, match="incomplete"):
        load_artifact(copy)
    with pytest.raises(ValueError, match="does not exist"):
        load_artifact(copy / "nowhere")
    with pytest.raises(ValueError, match="holds 'data', not 'artifact'"):
        load_artifact(tiny_shop.data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt_version": "value-0"}, "prompt version 'value-0'"),
        ({"features": ["recency_days"]}, "other features"),
        ({"format_version": 99}, "format version 99"),
    ],
)
def test_artifacts_of_other_versions_are_refused(
    copy: Path, changes: dict[str, object], message: str
) -> None:
    rewrite_manifest(copy, **changes)
    with pytest.raises(ValueError, match=message):
        load_artifact(copy)


def test_settings_come_back(tiny_artifact: Path, tmp_path: Path) -> None:
    settings = load_artifact(tiny_artifact).settings
    settings.save(tmp_path)
    assert Settings.load(tmp_path) == settings


def test_manifest_describes_the_artifact(tiny_artifact: Path) -> None:
    manifest = load_artifact(tiny_artifact).manifest
    for name in (
        "horizon_days",
        "clv",
        "currency",
        "segment_thresholds",
        "prompt_version",
        "dataset",
        "metrics",
    ):
        assert getattr(manifest, name), name
    assert manifest.base_model is None
    assert manifest.costs["refunds"].is_learned and manifest.costs["refunds"].rate > 0
    assert manifest.costs["goods"] == CostRate(rate=0.0, is_learned=False)
    assert not [
        name for name in manifest.files if name.endswith((".pkl", ".pickle", ".pt", ".bin"))
    ]


def test_examples_and_predictions_are_those_of_the_arena(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    artifact = load_artifact(tiny_artifact)
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    examples = examples_for(artifact, events, test.select(KEYS))
    assert examples.select(FEATURES).equals(test.select(FEATURES))
    assert "prompt" not in examples.columns, "trees read no prompts"
    with_llama = replace(artifact, settings=replace(artifact.settings, champion="text_llama"))
    assert examples_for(with_llama, events, test.select(KEYS))["prompt"].equals(test["prompt"])
    predictions = pl.read_parquet(tiny_artifact.parent / "predictions.parquet")
    for model in ("persistence", *BTYD_MODELS, "lightgbm", "hurdle", "stack"):
        judged = predictions.filter(pl.col("model") == model)
        assert judged["customer_id"].equals(test["customer_id"])
        np.testing.assert_array_equal(
            artifact.models.expected_spend(model, examples, {}), judged["predicted"].to_numpy()
        )
    with pytest.raises(ValueError, match="no model 'sequence_llama'"):
        artifact.models.expected_spend("sequence_llama", examples, {})


def test_labels_of_customers_with_one_order_and_none_of_a_gap(
    tiny_artifact: Path, tiny_shop: TinyShop
) -> None:
    artifact = load_artifact(tiny_artifact)
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    once = test.filter(pl.col("num_orders") == 1)
    assert once.height and once["mean_gap_days"].null_count() == once.height
    values = values_for(
        artifact, once, artifact.models.expected_spend(artifact.settings.champion, once, {})
    )
    labels = labels_for(artifact, once, values)
    assert set(labels["stage"]) <= {"activation", "lapsed"} <= set(STAGES)
    everyone = values_for(
        artifact, test, artifact.models.expected_spend(artifact.settings.champion, test, {})
    )
    top = (labels_for(artifact, test, everyone)["segment"] == "top").mean()
    assert 0.03 <= top <= 0.06
