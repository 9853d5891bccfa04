"""What Ray's workers cost: `python -m benchmarks.worker_scaling [--runs 3] [--steps 50]`.

The shipped text recipe on The Complete Journey, two ways in turn: two Ray workers of one core each,
and one process with two threads and no Ray. `startup_seconds` is from the command to the first step
done, DeepSpeed's op compiled; `checkpoint_share` is how much of the training time the two workers
spend on checkpoints at the default interval.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import prepare_shop
from benchmarks.harness.training_run import train
from lifecycle.jobs import start_logging
from training.recipe import SharedRecipe

INTERVAL = SharedRecipe.model_fields["checkpoint_every_steps"].default


def main() -> None:
    """Run both ways in turn, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2 * INTERVAL)
    arguments = parser.parse_args()
    start_logging()
    workers = []
    alone = []
    with scratch_folder() as folder:
        places, data = prepare_shop("journey", folder)
        for seed in range(arguments.runs):
            common = [f"{key}={value}" for key, value in places.items()]
            common += [
                f"max_steps={arguments.steps}",
                f"checkpoint_every_steps={INTERVAL}",
                f"seed={seed}",
            ]
            workers.append(measure(folder / f"workers-{seed}", 1, [*common, "num_workers=2"]))
            changes = [*common, "num_workers=0", "cpus_per_worker=2"]
            alone.append(measure(folder / f"alone-{seed}", 2, changes))
            print(f"run {seed + 1}: two workers {workers[-1]}, one process {alone[-1]}", flush=True)
    numbers: dict[str, Json] = {
        "two_workers_over_one_process": statistics.median(
            ours["tokens_per_second"] / other["tokens_per_second"]
            for ours, other in zip(workers, alone, strict=True)
        ),
        "startup_seconds": statistics.median(ours["startup_seconds"] for ours in workers),
        "checkpoint_share": statistics.median(ours["checkpoint_share"] for ours in workers),
        "workers": workers,
        "one_process": alone,
        "steps": arguments.steps,
        "checkpoint_every_steps": INTERVAL,
    }
    write_evidence("worker_scaling", numbers, seeds=range(arguments.runs), data=data)


def measure(output: Path, num_threads: int, changes: list[str]) -> dict[str, float]:
    """Speed until the first validation, start-up, and what checkpoints cost."""
    run = train("journey_text.yaml", output, changes, num_threads)
    before_validation = [line for line in run.progress if line["step"] <= INTERVAL]
    end = run.progress[-1]
    return {
        "tokens_per_second": before_validation[-1]["tokens_per_second"],
        "startup_seconds": run.seconds_to_first_step,
        "checkpoint_share": end["checkpoint_seconds"] / end["seconds"],
    }


if __name__ == "__main__":
    main()
