"""One trial of a search, inside its own process: a short training that reports and leaves no member."""

import shutil
from functools import partial
from pathlib import Path

from ray import tune

from lifecycle.config import Tree
from training.loop.deepspeed_op import prepare_deepspeed
from training.run.failures import mistakes_in_one_line
from training.tasks.recipes.union import TrainConfig


def run_trial(recipe: TrainConfig) -> None:
    """Train a recipe to its end, reporting every checkpoint to Ray Tune.

    Without workers the loop runs here, and a trial that is interrupted begins again. With workers
    it is a Ray Train run with checkpoints of its own, and goes on from them.
    """
    if recipe.num_workers == 0:
        train_here(recipe)
    else:
        train_on_workers(recipe)


def train_here(recipe: TrainConfig) -> None:
    """The training loop in this process."""
    prepare_deepspeed(recipe.device)
    from training.loop.worker import start_run, take_steps

    shutil.rmtree(recipe.output, ignore_errors=True)
    claim_trial(recipe)
    run = start_run(recipe.model_dump(mode="json"))
    take_steps(run, lambda _, step, metrics: tune.report(metrics | {"step": step}))


def train_on_workers(recipe: TrainConfig) -> None:
    """A Ray Train run below this process; its workers report through Ray Train's own callback for Tune."""
    from ray.tune.integration.ray_train import TuneReportCallback

    from training.run.trainer import run_trainer

    claim_trial(recipe)
    run_trainer(recipe, trial_on_worker, [TuneReportCallback()])


def trial_on_worker(settings: Tree) -> None:
    """What a Ray Train worker of a trial runs: the loop with its checkpoints, without the member at the end."""
    prepare_deepspeed(str(settings["device"]))
    from training.loop.checkpoint import report_checkpoint
    from training.loop.worker import start_run, take_steps

    with mistakes_in_one_line(str(settings["output"])):
        run = start_run(settings)
        take_steps(run, partial(report_checkpoint, run.config))


def claim_trial(recipe: TrainConfig) -> None:
    """Make the trial's folder and save its recipe there."""
    Path(recipe.output).mkdir(parents=True, exist_ok=True)
    recipe.save(recipe.output / "config.yaml")
