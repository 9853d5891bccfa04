"""What tests of tasks share."""

from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.shards import read_shard, shard_paths
from tests.builders import TinyShop, write_conversations
from tests.training.tasks.sft_runs import UNLIKE, recipe
from training.tasks.recipes.union import TrainConfig, parse_recipe


@pytest.fixture
def half_frozen(tiny_shop: TinyShop, tmp_path: Path) -> dict[str, object]:
    """Two epochs whose last layer alone is adapted; the base model is to be given."""
    return {
        "data": str(tiny_shop.data),
        "examples": str(tiny_shop.examples),
        "max_tokens": 200,
        "dtype": "fp32",
        "global_batch": 36,
        "micro_batch": 12,
        "epochs": 2,
        "validation_rows": 20,
        "num_workers": 0,
        "lora": {"rank": 4, "alpha": 8, "num_layers": 1},
        "optimizer": {"learning_rate": 1e-2},
        "output": str(tmp_path / "run"),
    }


@pytest.fixture
def unlike(tmp_path: Path, tiny_chat_model: Path) -> TrainConfig:
    """A recipe of four conversations whose answers differ in length, all in one step."""
    path = write_conversations(tmp_path / "unlike.jsonl", *UNLIKE)
    return recipe(tiny_chat_model, path, tmp_path, global_batch=4, micro_batch=4, epochs=6)


@pytest.fixture(scope="module")
def sequence_config(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A small encoder for the tiny shop."""
    return parse_recipe(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "encoder": "sequence",
            "dtype": "fp32",
            "sequence": {"hidden_size": 32, "num_layers": 1, "num_heads": 2, "max_events": 48},
            "optimizer": {"learning_rate": 2e-3},
            "global_batch": 32,
            "micro_batch": 8,
            "epochs": 15,
            "validation_rows": 53,
            "checkpoint_every_steps": 15,
            "num_workers": 0,
            "tracking": None,
            "output": tmp_path_factory.mktemp("run") / "sequence",
        }
    )


@pytest.fixture(scope="module")
def events(tiny_shop: TinyShop) -> pl.DataFrame:
    return pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
