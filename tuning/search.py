"""Ray Tune around the trials: proposals by Optuna, early stopping by ASHA, resumption."""

import logging
import os
from pathlib import Path

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.sample import Domain

from lifecycle.config import Tree
from training.distributed.cluster import start_ray_for
from training.tasks.recipes.union import TrainConfig, load_recipe, parse_recipe
from training.tasks.rows import num_training_rows
from tuning.progress import SearchProgress
from tuning.recipe import TuneConfig
from tuning.results import METRICS, TrialResult
from tuning.space import Range, decoded, get_dotted, point_of, recipe_with

logger = logging.getLogger(__name__)
# Ray Tune's own state, below the output folder while the search is not complete.
STATE_FOLDER = "ray"
LEAVE_SECONDS = 60  # for a stopped trial to leave its process to the next one; default 2
SAVE_STATE_SECONDS = "2"  # default 10: what was decided since then is decided again after a kill


def run_search(config: TuneConfig, base: TrainConfig, num_checkpoints: int) -> list[TrialResult]:
    """Run the trials that are not finished yet; all trials in the order in which they were proposed.

    Raises ValueError where the cluster is too small or no trial came to its first checkpoint.
    """
    os.environ |= {
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
        "TUNE_GLOBAL_CHECKPOINT_S": SAVE_STATE_SECONDS,
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # as tracebacks; SearchProgress tells of them in a line
    }
    trial = recipe_with(base, config.overrides)
    num_processes = config.max_concurrent_trials * trial.num_processes
    key = "max_concurrent_trials" + " x num_workers" * (trial.num_workers > 1)
    start_ray_for(num_processes, trial.cpus_per_worker, trial.device, key)
    results = build_tuner(config, trial, num_checkpoints).fit()
    return [
        read_result(config, result)
        for result in results
        if result.error or recipe_file(config, result).exists()
    ]


def build_tuner(config: TuneConfig, trial: TrainConfig, num_checkpoints: int) -> tune.Tuner:
    """The tuner of a search; one whose state is in the output folder goes on where it was."""
    space = {dotted: values.model_dump(mode="json") for dotted, values in config.space.items()}
    trainable = tune.with_resources(
        tune.with_parameters(train_point, recipe=trial_settings(config, trial), space=space),
        resources(trial),
    )
    state = str(config.output.absolute() / STATE_FOLDER)
    if tune.Tuner.can_restore(state):
        logger.info("resuming the search in %s", config.output)
        return tune.Tuner.restore(state, trainable)
    own_point = point_of(config.space, trial)
    return tune.Tuner(
        trainable,
        param_space={dotted: domain(values) for dotted, values in config.space.items()},
        tune_config=tune.TuneConfig(
            metric=config.metric,
            mode=config.mode,
            search_alg=OptunaSearch(
                seed=config.seed, points_to_evaluate=None if own_point is None else [own_point]
            ),
            scheduler=ASHAScheduler(
                max_t=num_checkpoints + 1,  # never reached: a trial ends by itself
                grace_period=config.asha.grace_checkpoints,
                reduction_factor=config.asha.reduction_factor,
            ),
            num_samples=config.num_trials,
            max_concurrent_trials=config.max_concurrent_trials,
            time_budget_s=60 * config.minutes,
            trial_dirname_creator=folder_name,
            # A new process imports torch, peft and deepspeed for some 15 s; one with workers below it cannot be reused.
            reuse_actors=trial.num_workers == 0,
        ),
        run_config=tune.RunConfig(
            name=STATE_FOLDER,
            storage_path=str(config.output.absolute()),
            failure_config=tune.FailureConfig(max_failures=config.max_failures),
            callbacks=[
                SearchProgress(
                    config.metric, config.mode, config.num_trials, num_checkpoints, config.minutes
                )
            ],
            verbose=0,
        ),
    )


def domain(values: Range) -> Domain:
    """Ray Tune's domain of a range; a choice is searched by position, so that its values may be lists or null."""
    if values.choice is not None:
        return tune.choice(list(range(len(values.choice))))
    low, high = values.ends
    if values.int is not None:
        return tune.randint(int(low), int(high) + 1)
    return tune.uniform(low, high) if values.uniform is not None else tune.loguniform(low, high)


def resources(trial: TrainConfig) -> tune.PlacementGroupFactory:
    """What Ray Tune sets aside for a trial. Workers of a trial are set aside by Ray Train, which starts them."""
    if trial.num_workers:
        return tune.PlacementGroupFactory([{"memory": 1}])  # a byte: no CPU that its workers need
    return tune.PlacementGroupFactory(
        [{"CPU": trial.cpus_per_worker, "GPU": 1.0 if trial.device == "gpu" else 0.0}]
    )


def trial_settings(config: TuneConfig, trial: TrainConfig) -> Tree:
    """The recipe of all trials with absolute paths; `output` is the folder of the trials' folders."""
    return trial.model_copy(update={"output": config.output / "trials"}).settings()


def train_point(sample: Tree, recipe: Tree, space: dict[str, Tree]) -> None:
    """The trainable: train one proposed point of the space in this process."""
    from tuning.trial import run_trial

    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(LEAVE_SECONDS)
    ranges = {dotted: Range.model_validate(values) for dotted, values in space.items()}
    trial = recipe_with(parse_recipe(recipe), decoded(ranges, sample))
    run_trial(trial.model_copy(update={"output": trial.output / tune.get_context().get_trial_id()}))


def recipe_file(config: TuneConfig, result: tune.Result) -> Path:
    """The recipe a trial saved; a trial that never started has none."""
    return config.output / "trials" / Path(result.path).name / "config.yaml"


def folder_name(trial: Trial) -> str:
    """Name of a trial's folder."""
    return str(trial.trial_id)


def read_result(config: TuneConfig, result: tune.Result) -> TrialResult:
    """What became of one trial, from what it reported and the recipe it saved before it began."""
    path = recipe_file(config, result)
    metrics = result.metrics or {}
    recipe = load_recipe(path) if path.exists() else None
    tree = recipe.model_dump(mode="json") if recipe else {}
    step = int(metrics.get("step", 0))
    num_steps = recipe.num_steps(num_training_rows(recipe)) if recipe else None
    return TrialResult(
        trial_id=path.parent.name,
        status=status_of(
            step, num_steps, is_done=bool(metrics.get("done")), has_failed=result.error is not None
        ),
        values={dotted: get_dotted(tree, dotted) for dotted in config.space},
        metrics={name: float(metrics[name]) for name in METRICS if name in metrics},
        step=step,
        num_steps=num_steps,
        seconds=float(metrics.get("time_total_s", 0.0)),
        error="" if result.error is None else str(result.error).strip().splitlines()[-1],
    )


def status_of(step: int, num_steps: int | None, *, is_done: bool, has_failed: bool) -> str:
    """Status of a trial; the scheduler marks those it stops as done, the budget of minutes does not."""
    if has_failed:
        return "failed"
    if step == num_steps:
        return "completed"
    return "stopped" if is_done else "cut"
