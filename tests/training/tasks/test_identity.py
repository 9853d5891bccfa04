"""What a run is known by: runs that were made when one class held the keys of all tasks keep their identity."""

from pathlib import Path

import pytest

from lifecycle.folders import fingerprint
from lifecycle.llama.member import base_model_identity
from tests.builders import TinyShop
from tests.training.ingest.recipes import ingest_in_euros
from training.prepare.dataset import examples_identity
from training.tasks.identity import run_identity, run_origin
from training.tasks.recipes.union import parse_recipe

# What decided the weights of every run of task value then, at its defaults.
FORMER_RECIPE = {
    "task": "value",
    "encoder": "text",
    "num_layers": None,
    "lora": {
        "rank": 16,
        "alpha": 32.0,
        "dropout": 0.0,
        "targets": ["q_proj", "v_proj"],
        "num_layers": None,
    },
    "max_tokens": 160,
    "dtype": "auto",
    "attention": "auto",
    "gradient_checkpointing": False,
    "sequence": {
        "hidden_size": 32,
        "num_layers": 1,
        "num_heads": 4,
        "dropout": 0.0,
        "max_events": 256,
        "history_days": None,
    },
    "next_event_weight": 0.1,
    "next_item_positions": 256,
    "optimizer": {
        "learning_rate": 5e-4,
        "head_learning_rate": 3e-4,
        "weight_decay": 0.01,
        "betas": [0.9, 0.98],
        "warmup_share": 0.06,
        "final_share": 0.02,
        "clip_norm": 1.0,
    },
    "zero": {"stage": 2, "offload_optimizer": False, "offload_parameters": False},
    "global_batch": 32,
    "micro_batch": 8,
    "epochs": 1.0,
    "max_steps": None,
    "validation_rows": 128,
    "checkpoint_every_steps": 25,
    "export": "best",
    "num_workers": 2,
    "cpus_per_worker": 1.0,
    "device": "cpu",
    "seed": 0,
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_layers": 1, "max_tokens": 99},
        {"encoder": "sequence"},
        {"encoder": "sequence", "next_event_weight": 0.2},
    ],
)
def test_runs_of_task_value_are_known_by_the_settings_of_both_encoders(
    changes: dict[str, object], tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    places = {
        "data": str(tiny_shop.data),
        "examples": str(tiny_shop.examples),
        "base_model": str(tiny_base_model),
        "output": "o",
    }
    data = examples_identity(tiny_shop.examples)
    sha256 = base_model_identity(str(tiny_base_model)).sha256
    expected = fingerprint([FORMER_RECIPE | changes, data, sha256])
    assert run_identity(parse_recipe(places | changes)) == expected


def test_run_may_go_on_with_other_workers_and_sharding_where_checkpoints_are_whole(
    tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    recipe = {
        "data": str(tiny_shop.data),
        "examples": str(tiny_shop.examples),
        "base_model": str(tiny_base_model),
        "output": "o",
    }
    before = run_origin(parse_recipe(recipe))
    for change in ({"num_workers": 4}, {"cpus_per_worker": 2.0}, {"zero": {"stage": 3}}):
        assert run_origin(parse_recipe(recipe | change)) == before
    for changed in ({"micro_batch": 4}, {"lora": None}, {"device": "gpu"}, {"seed": 1}):
        assert run_identity(parse_recipe(recipe | changed)) != before.identity
    shards = recipe | {"lora": None}
    assert run_identity(parse_recipe(shards | {"num_workers": 4})) == run_identity(
        parse_recipe(shards)
    )
    assert run_identity(parse_recipe(shards | {"zero": {"stage": 3}})) != run_identity(
        parse_recipe(shards)
    )


def test_examples_of_other_data_are_refused(
    tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path
) -> None:
    ingest_in_euros(tiny_shop, tmp_path / "data")
    recipe = {"data": str(tmp_path / "data"), "examples": str(tiny_shop.examples), "output": "o"}
    with pytest.raises(ValueError, match="were prepared from other data than .*; prepare again"):
        run_identity(parse_recipe(recipe | {"base_model": str(tiny_base_model)}))
