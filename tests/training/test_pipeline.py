"""The pipeline's parts that need neither Ray nor a service."""

import json
import shutil
from pathlib import Path

import pytest

from tests.builders import TinyShop
from training.pipeline import PipelineConfig, first_customers, summary

RECIPE = Path("training/configs/demo.yaml")


@pytest.fixture
def output(tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path) -> Path:
    """A folder as the stages leave it."""
    shutil.copytree(tiny_artifact.parent, tmp_path / "demo")
    (tmp_path / "demo" / "data").symlink_to(tiny_shop.data)
    (tmp_path / "demo" / "examples").symlink_to(tiny_shop.examples)
    return tmp_path / "demo"


def test_demo_recipe_names_jobs_and_recipes_that_exist() -> None:
    config = PipelineConfig.load(RECIPE)
    assert [stage.name for stage in config.stages] == [
        "ingest",
        "prepare",
        "tune",
        "train",
        "evaluate",
        "score",
    ]
    made_by_a_stage = [stage.config for stage in config.stages if stage.config.parts[0] == "runs"]
    assert [path.name for path in made_by_a_stage] == ["best.yaml"]
    assert all(
        stage.config.is_file() for stage in config.stages if stage.config not in made_by_a_stage
    )
    assert config.serve is not None and config.serve.artifact == config.output / "artifact"


def test_summary_holds_the_keys_of_the_contract(output: Path) -> None:
    config = PipelineConfig.load(RECIPE, [f"output={output}"])
    content = summary(config, {"ingest": 1.5}, 2.0, {"POST /v1/value": {"customers": []}})
    metrics = json.loads((output / "metrics.json").read_text())
    assert content["champion"] == metrics["champion"]
    assert content["champion_metrics"] == metrics["models"][metrics["champion"]]
    assert content["stages"] == {"ingest": 1.5}
    rows = content["rows"]
    assert isinstance(rows, dict)
    assert rows["predictions.parquet"] == len(metrics["models"]) * metrics["num_customers"]
    assert rows["examples/test.parquet"] == metrics["num_customers"]
    assert rows["data/items.parquet"] == 40 and rows["data/events"] > 1000
    json.dumps(content, allow_nan=False)


def test_customers_of_the_requests_have_bought(tiny_shop: TinyShop) -> None:
    assert first_customers(tiny_shop.data, 3) == ["c0", "c1", "c10"]
