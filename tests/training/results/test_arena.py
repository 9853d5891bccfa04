"""metrics.json and its type say the same."""

import json
from pathlib import Path

import pytest

from lifecycle.folders import write_json
from tests.builders import TinyShop
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.results.arena import Results

NOTHING_OF_VALUE = (
    "cutoff",
    "horizon_days",
    "champion",
    "llama_gain",
    "stack",
    "selection",
    "intervals",
    "total_error",
    "customers",
    "worth",
    "profit",
    "churn",
    "prospects",
    "standings",
    "fine_tuning",
    "costs",
    "refitted_at",
)


def test_what_is_read_is_written_again_as_it_was(tiny_artifact: Path, tmp_path: Path) -> None:
    path = tiny_artifact.parent / "metrics.json"
    Results.read(path).write(tmp_path / "metrics.json")
    assert (tmp_path / "metrics.json").read_bytes() == path.read_bytes()


def test_artifact_holds_all_but_the_customers(tiny_artifact: Path) -> None:
    whole = json.loads((tiny_artifact.parent / "metrics.json").read_text())
    del whole["customers"], whole["worth"]
    assert json.loads((tiny_artifact / "metrics.json").read_text()) == whole


def test_leave_one_out_says_nothing_of_value(tiny_shop: TinyShop, tmp_path: Path) -> None:
    prepare(PrepareConfig(data=tiny_shop.data, split="leave_one_out", output=tmp_path / "examples"))
    places = {"data": tiny_shop.data, "examples": tmp_path / "examples"}
    recipe = places | {"output": tmp_path / "arena", "models": ["popularity"]}
    evaluate(EvaluateConfig.model_validate(recipe))
    path = tmp_path / "arena" / "metrics.json"
    content = json.loads(path.read_text())
    assert all(content[key] is None for key in NOTHING_OF_VALUE)
    assert content["models"] == content["champion_minus"] == content["btyd_fits"] == {}
    assert content["recommendation"]["next_item"]["all"]["popularity"]["hr@10"] > 0
    Results.read(path).write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_file_that_does_not_fit_is_named_with_its_keys(tiny_artifact: Path, tmp_path: Path) -> None:
    content = json.loads((tiny_artifact.parent / "metrics.json").read_text())
    path = tmp_path / "metrics.json"
    write_json(path, {key: value for key, value in content.items() if key != "models"})
    with pytest.raises(ValueError, match=r"metrics\.json: missing key models"):
        Results.read(path)
    del content["selection"]["rule"]
    content["num_customers"] = "many"
    write_json(path, content | {"surprise": 1})
    with pytest.raises(ValueError) as error:
        Results.read(path)
    for told in (str(path), "'selection.rule'", "num_customers is 'many'", "'surprise'"):
        assert told in str(error.value)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"metrics\.json: .*JSON"):
        Results.read(path)
