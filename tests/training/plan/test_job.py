"""The plan of a recipe against published parameter counts, the ZeRO paper's table and a count by hand."""

import json
from pathlib import Path

import pytest

from tests.builders import REPOSITORY
from tests.training.plan.published import (
    LLAMA31_8B,
    LLAMA32_1B,
    recipe,
)
from training.plan.job import make_plan, show_plan
from training.plan.table import table
from training.tasks.recipes.union import load_recipe


def test_plan_of_a_recipe_is_printed_as_table_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(recipe(tmp_path, LLAMA32_1B, zero={"stage": 1}, max_tokens=100, global_batch=64))
    *lines, last = capsys.readouterr().out.splitlines()
    plan = json.loads(last)
    assert plan["max_tokens_per_step"] == 6400
    assert [stage["stage"] for stage in plan["stages"]] == [0, 1, 2, 3]
    assert [line.split()[:4] for line in lines if line.startswith("  ZeRO") and "*" in line] == [
        ["ZeRO", "stage", "1", "*"]
    ]
    assert (plan["steps"], plan["times"], plan["expected_seconds"]) == (None, None, None)
    assert "steps: unknown, there are no examples in e yet" in lines
    assert "duration: unknown, there are no examples in e yet" in lines


def test_plan_of_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    config = recipe(tmp_path, LLAMA32_1B)
    with pytest.raises(ValueError, match="config.json"):
        make_plan(config.model_copy(update={"base_model": str(tmp_path / "elsewhere")}))


def test_plan_of_a_task_it_does_not_know_is_refused(tmp_path: Path) -> None:
    taught = {
        "task": "sft",
        "adapter": "copy",
        "conversations": "c.jsonl",
        "data": None,
        "examples": None,
    }
    with pytest.raises(
        ValueError, match="the plan knows tasks value, next_item and rerank: task is sft"
    ):
        make_plan(recipe(tmp_path, LLAMA32_1B, **taught))


@pytest.mark.parametrize(
    ("file", "architecture", "size"),
    [("llama32_1b_lora_gpu.yaml", LLAMA32_1B, 24), ("llama31_8b_zero3_gpu.yaml", LLAMA31_8B, 40)],
)
def test_gpu_recipes_fit_the_gpus_they_are_meant_for(
    tmp_path: Path, file: str, architecture: dict[str, object], size: int
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(architecture))
    path = REPOSITORY / "training" / "configs" / file
    plan = make_plan(load_recipe(path, [f"base_model={tmp_path}"]))
    number = plan.gpus[size][plan.config.zero.stage]
    assert number is not None and number <= plan.config.num_workers
    assert plan.stages[plan.config.zero.stage].peak <= 0.9 * size
    assert "device is gpu" in table(plan) or "no examples" in table(plan)
