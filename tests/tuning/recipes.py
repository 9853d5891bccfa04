"""Recipes of searches that tests run."""

from pathlib import Path

from tests.builders import TinyShop
from training.tasks.recipes.text import TextRecipe
from tuning.recipe import TuneConfig
from tuning.results import TrialResult
from tuning.space import Tree


def search_recipe(folder: Path, **changes: object) -> TuneConfig:
    tree: Tree = {
        "base": str(folder / "base.yaml"),
        "space": {
            "optimizer.learning_rate": {"loguniform": [1e-4, 1e-2]},
            "lora.targets": {"choice": [["q_proj"]]},
        },
        "overrides": {"max_steps": 6, "checkpoint_every_steps": 2},
        "num_trials": 3,
        "minutes": 5,
        "output": str(folder / "search"),
    }
    return TuneConfig.model_validate(tree | changes)


def train_recipe(folder: Path, shop: TinyShop, base_model: Path) -> TextRecipe:
    recipe = TextRecipe(
        data=shop.data,
        examples=shop.examples,
        base_model=str(base_model),
        num_workers=0,
        tracking=None,
        output=folder / "member",
    )
    recipe.save(folder / "base.yaml")
    return recipe


TRIAL = TrialResult(
    trial_id="one",
    status="completed",
    values={"optimizer.learning_rate": 1e-3, "lora.targets": ["q_proj"]},
    metrics={"val_loss": 1.0, "val_rmse": 10.0},
    step=6,
    num_steps=6,
    seconds=3.0,
    error="",
)
