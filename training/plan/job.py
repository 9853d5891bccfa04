"""Job: what a training recipe needs and how long it takes, before anything starts and without a GPU."""

import json
import logging

from lifecycle.folders import MANIFEST
from training.plan.contents import Length, Plan
from training.plan.memory import (
    STAGES,
    smallest_numbers,
    stage_memory,
)
from training.plan.steps import measure_steps, num_validations, why_not_measured
from training.plan.table import table
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.union import PlannedRecipe, TrainConfig
from training.tasks.rows import num_training_rows, num_validation_rows

logger = logging.getLogger(__name__)


def make_plan(config: TrainConfig) -> Plan:
    """The plan of a recipe; of its base model only config.json is read, unless steps can be taken here.

    Raises ValueError where base_model is not a folder with a config.json, where the examples of
    encoder sequence are not there, and for what a run would refuse.
    """
    if isinstance(config, SftRecipe):
        raise ValueError("the plan knows tasks value, next_item and rerank: task is sft")
    from training.plan.meta_model import measure_model

    sizes = measure_model(config)
    stages = [stage_memory(config, sizes, stage, config.num_processes) for stage in STAGES]
    on_gpu = config.model_copy(update={"device": "gpu"})
    gpus = smallest_numbers(on_gpu, measure_model(on_gpu))
    return Plan(config, sizes, run_length(config, stages[config.zero.stage].peak), stages, gpus)


def run_length(config: PlannedRecipe, peak_gib: float) -> Length:
    """Steps from the examples, and seconds from steps that are taken here; `peak_gib` is a worker's memory."""
    why_no_times = why_not_measured(config, peak_gib)
    if not (config.examples / MANIFEST).is_file():
        return Length(
            why_no_steps=f"there are no examples in {config.examples} yet",
            why_no_times=why_no_times,
        )
    rows = num_training_rows(config)
    steps = config.num_steps(rows)
    validations = num_validations(config, steps)
    if why_no_times is not None:
        return Length(
            training_rows=rows, steps=steps, num_validations=validations, why_no_times=why_no_times
        )
    logger.info("taking the recipe's first steps to see how long they take")
    times = measure_steps(config, min(config.validation_rows, num_validation_rows(config)))
    seconds = steps * times.seconds_per_step + validations * times.seconds_per_validation
    return Length(
        training_rows=rows,
        steps=steps,
        num_validations=validations,
        times=times,
        expected_seconds=times.seconds_to_start + seconds,
    )


def show_plan(config: TrainConfig) -> None:
    """Print the plan as a table and, in the last line, as JSON."""
    plan = make_plan(config)
    print(table(plan))
    print(json.dumps(plan.as_json()))
