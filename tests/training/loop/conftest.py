"""What tests of the training loop share."""

from pathlib import Path

import pytest

from tests.builders import TinyShop
from training.tasks.recipes.union import TrainConfig, parse_recipe


@pytest.fixture
def config(tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path) -> TrainConfig:
    return parse_recipe(
        {
            "data": tiny_shop.data,
            "examples": tiny_shop.examples,
            "base_model": str(tiny_base_model),
            "lora": {"rank": 4},
            "max_tokens": 320,
            "dtype": "fp32",
            "attention": "eager",
            "global_batch": 20,
            "micro_batch": 4,
            "epochs": 3,
            "validation_rows": 10,
            "num_workers": 0,
            "output": tmp_path,
        }
    )
