"""Recipes of pipelines: stages that exist, and keys that fit the runner."""

from pathlib import Path

import pytest

from training.pipeline.recipe import PipelineConfig

RECIPE = Path("training/configs/demo.yaml")
ARENA = {"name": "evaluate", "module": "training.evaluate", "config": "evaluate.yaml"}
JOBS = {"runner": "jobs", "name": "shop", "stages": [ARENA]}


def test_demo_recipe_names_jobs_and_recipes_that_exist() -> None:
    config = PipelineConfig.load(RECIPE)
    assert [stage.name for stage in config.stages] == [
        "ingest",
        "prepare",
        "tune",
        "train",
        "next_item",
        "evaluate",
        "score",
    ]
    made_by_a_stage = [stage.config for stage in config.stages if stage.config.parts[0] == "runs"]
    assert [path.name for path in made_by_a_stage] == ["best.yaml"]
    assert all(
        stage.config.is_file() for stage in config.stages if stage.config not in made_by_a_stage
    )
    assert config.serve is not None and config.serve.artifact == config.output / "artifact"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": None}, "runner jobs needs the key 'name'"),
        ({"output": "runs/shop"}, "the key 'output' is not for runner jobs"),
        ({"runner": "process", "output": "runs/shop"}, "the key 'name' is not for runner process"),
        ({"runner": "process", "name": None}, "runner process needs the key 'output'"),
        ({"stages": [ARENA, ARENA], "deploy": "serve.yaml"}, "there are 2"),
        ({"name": "a/b"}, "should match pattern"),
    ],
)
def test_keys_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PipelineConfig.model_validate(JOBS | changes)
