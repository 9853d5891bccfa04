"""What a pipeline says of its stages in the end."""

import json
import shutil
from pathlib import Path

import pytest

from tests.builders import TinyShop
from training.pipeline.summary import summary


@pytest.fixture
def output(tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path) -> Path:
    """A folder as the stages leave it."""
    shutil.copytree(tiny_artifact.parent, tmp_path / "demo")
    (tmp_path / "demo" / "data").symlink_to(tiny_shop.data)
    (tmp_path / "demo" / "examples").symlink_to(tiny_shop.examples)
    return tmp_path / "demo"


def test_summary_holds_the_keys_of_the_contract(output: Path) -> None:
    found = summary(output, {"ingest": 1.5}, 2.0, {"POST /v1/value": {"customers": []}})
    content = found.model_dump(mode="json")
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
