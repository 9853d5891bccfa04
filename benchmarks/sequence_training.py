"""How long the sequence encoder takes: `python -m benchmarks.sequence_training [--runs 3]`.

The shipped recipe on The Complete Journey, two Ray workers of one core each.
`seconds_to_best_validation` counts from the command, start-up included, to the checkpoint with the
least validation loss; `padding_share` is the share of all positions computed, over the whole run,
that hold no event.
"""

import argparse
from pathlib import Path

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS, prepare_shop
from benchmarks.harness.training_run import medians, train
from lifecycle.jobs import start_logging
from training.loop.batch_order import BatchOrder
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.sequence import SequenceTask


def main() -> None:
    """Train with several seeds, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    start_logging()
    runs = []
    with scratch_folder() as folder:
        places, data = prepare_shop("journey", folder)
        for seed in range(arguments.runs):
            changes = [*(f"{key}={value}" for key, value in places.items()), f"seed={seed}"]
            runs.append(measure(folder / f"sequence-{seed}", changes))
            print(f"run {seed + 1}: {runs[-1]}", flush=True)
        padding = padding_share(
            SequenceRecipe.load(CONFIGS / "journey_sequence.yaml").model_copy(update=places)
        )
    numbers: dict[str, Json] = {**medians(runs), "padding_share": padding, "runs": runs}
    write_evidence("sequence_training", numbers, seeds=range(arguments.runs), data=data)


def measure(output: Path, changes: list[str]) -> dict[str, float]:
    """When the run was best, how good it was and how fast."""
    run = train("journey_sequence.yaml", output, changes)
    validations = [line for line in run.progress if "val_loss" in line]
    best = min(validations, key=lambda line: line["val_loss"])
    after_first_step = best["seconds"] - run.progress[0]["seconds"]
    return {
        "seconds_to_best_validation": run.seconds_to_first_step + after_first_step,
        "seconds_to_member": run.seconds_to_member,
        "best_val_loss": best["val_loss"],
        "val_rmse": best["val_rmse"],
        "events_per_second": run.progress[-1]["tokens_per_second"],
    }


def padding_share(recipe: SequenceRecipe) -> float:
    """Of the positions of every micro-batch of the run, each as long as its longest history."""
    task = SequenceTask(recipe)
    order = BatchOrder(recipe, task)
    real = 0
    computed = 0
    for step in range(recipe.num_steps(task.num_rows)):
        lengths = task.lengths(*order.step(step)).reshape(-1, recipe.micro_batch)
        real += int(lengths.sum())
        computed += int(lengths.max(axis=1).sum()) * recipe.micro_batch
    return 1 - real / computed


if __name__ == "__main__":
    main()
