"""Search recipes, and what is made of finished trials; the search itself is tested with a real cluster."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lifecycle.folders import MANIFEST, verify
from lifecycle.llama.lora import LoraSettings
from tests.builders import TinyShop, turns, write_conversations
from tests.tuning.recipes import TRIAL, search_recipe, train_recipe
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.rows import num_training_rows
from tuning.recipe import check_trial, search_identity, search_made_from
from tuning.results import (
    write_results,
)
from tuning.run import SEARCH_KIND, tune
from tuning.search import status_of
from tuning.space import Range, check_space


@pytest.mark.parametrize(
    ("step", "num_steps", "is_done", "has_failed", "status"),
    [
        (6, 6, True, False, "completed"),
        (6, 6, False, False, "completed"),
        (2, 6, True, False, "stopped"),
        (2, 6, False, False, "cut"),
        (0, 6, False, False, "cut"),
        (2, 6, False, True, "failed"),
        (0, None, False, True, "failed"),
    ],
)
def test_status(
    step: int, num_steps: int | None, is_done: bool, has_failed: bool, status: str
) -> None:
    assert status_of(step, num_steps, is_done=is_done, has_failed=has_failed) == status


def test_trial_without_enough_checkpoints_is_refused(
    tmp_path: Path, tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    recipe = train_recipe(tmp_path, tiny_shop, tiny_base_model)
    short = recipe.model_copy(update={"max_steps": 5, "checkpoint_every_steps": 2})
    assert check_trial(search_recipe(tmp_path), short) == 3
    with pytest.raises(ValueError, match="asha.grace_checkpoints is 4.* reports 3"):
        check_trial(search_recipe(tmp_path, asha={"grace_checkpoints": 4}), short)


def test_search_over_taught_adapters_goes_by_the_loss(
    tmp_path: Path, tiny_chat_model: Path
) -> None:
    path = write_conversations(
        tmp_path / "c.jsonl", *(turns(f"question {n}", "answer") for n in range(65))
    )
    recipe = SftRecipe(
        adapter="service",
        conversations=path,
        base_model=str(tiny_chat_model),
        num_workers=0,
        checkpoint_every_steps=1,
        output=tmp_path / "member",
    )
    rows = num_training_rows(recipe)
    assert (
        32 <= rows < 65
        and check_trial(search_recipe(tmp_path, metric="val_loss"), recipe) == rows // 32
    )
    with pytest.raises(
        ValueError, match="metric is val_rmse, but trials of task sft report val_loss"
    ):
        check_trial(search_recipe(tmp_path), recipe)
    with pytest.raises(
        ValueError, match="space.adapter: all trials of a search must share 'adapter'"
    ):
        check_space(recipe, {"adapter": Range(choice=("copy",))}, {})


def test_trials_whose_layers_are_all_adapted_cannot_share_activations(
    tmp_path: Path, tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    recipe = train_recipe(tmp_path, tiny_shop, tiny_base_model)
    changes = {"activation_cache": tmp_path / "cache", "lora": LoraSettings(num_layers=2)}
    with pytest.raises(
        ValueError, match="lora.num_layers is 2; activation_cache needs fewer than all 2 layers"
    ):
        check_trial(search_recipe(tmp_path), recipe.model_copy(update=changes))


def test_identity_changes_with_what_decides_the_result(
    tmp_path: Path, tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    base = train_recipe(tmp_path, tiny_shop, tiny_base_model)
    config = search_recipe(tmp_path)
    identity = search_identity(config, base)
    assert (
        search_identity(config.model_copy(update={"output": Path("x"), "base": Path("y")}), base)
        == identity
    )
    assert search_identity(config.model_copy(update={"seed": 1}), base) != identity
    assert search_identity(config, base.model_copy(update={"epochs": 2.0})) != identity


def test_output_of_another_search_is_refused(
    tmp_path: Path, tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    base = train_recipe(tmp_path, tiny_shop, tiny_base_model)
    config = search_recipe(tmp_path)
    config.output.mkdir()
    (config.output / "identity.txt").write_text("another")
    with pytest.raises(ValueError, match="holds another search; go on with the recipe as it was"):
        tune(config)
    before = search_made_from(config.model_copy(update={"seed": 7}), base)
    (config.output / "made_from.json").write_text(json.dumps(before))
    with pytest.raises(ValueError, match="holds another search: seed was 7 and is 0; go on with"):
        tune(config)


def test_search_killed_after_its_results_only_gets_its_manifest(
    tmp_path: Path, tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    base = train_recipe(tmp_path, tiny_shop, tiny_base_model)
    config = search_recipe(tmp_path)
    (config.output / "ray").mkdir(parents=True)
    write_results(config, base, [TRIAL])
    tune(config)
    verify(config.output, SEARCH_KIND)
    assert json.loads((config.output / MANIFEST).read_text())["trials"] == {"completed": 1}
    assert not (config.output / "ray").exists()


def test_typo_fails_before_ray_is_imported(
    tmp_path: Path, tiny_shop: TinyShop, tiny_base_model: Path
) -> None:
    train_recipe(tmp_path, tiny_shop, tiny_base_model)
    search_recipe(tmp_path).save(tmp_path / "search.yaml")
    script = (
        "import sys; from tuning.recipe import TuneConfig; from tuning.run import tune; from pathlib import Path\n"
        f"config = TuneConfig.load(Path({str(tmp_path / 'search.yaml')!r}), ['overrides.optimizer.clip_nrm=1'])\n"
        "try: tune(config)\n"
        "except ValueError as error: print(error, 'ray' in sys.modules, 'torch' in sys.modules)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert "unknown key 'optimizer.clip_nrm'" in output and output.rstrip().endswith("False False")


def test_trials_of_next_item_report_ndcg_and_do_not_end_by_themselves(
    tmp_path: Path, tiny_shop: TinyShop
) -> None:
    recipe = NextItemRecipe(
        data=tiny_shop.data, examples=tiny_shop.examples, num_workers=0, output=tmp_path / "member"
    )
    search = search_recipe(tmp_path, metric="val_ndcg", mode="max")
    steps = recipe.num_steps(num_training_rows(recipe))
    checkpoints = -(-steps // recipe.checkpoint_every_steps)
    assert check_trial(search, recipe) == checkpoints
    with pytest.raises(ValueError, match="metric is val_rmse, but trials of task next_item report"):
        check_trial(search_recipe(tmp_path), recipe)
    with pytest.raises(ValueError, match="say overrides {patience: null, learn_validation: false}"):
        check_trial(search, recipe.model_copy(update={"patience": 2}))
