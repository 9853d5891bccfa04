"""How fast text training is beside a plain Trainer: `python -m benchmarks.training_speed [--runs 3] [--examples 3840]`.

Both sides train on The Complete Journey's prompts on the same two cores, in turn, each in processes
of its own: ours by the shipped recipe under Ray Train and DeepSpeed, the other by
`benchmarks.peers.plain_trainer`. Speeds count real tokens, not padding, and no start-up. `matmul_share`
is the arithmetic of our steps over what two cores reach in products of the same dtype.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS, prepare_shop
from lifecycle.jobs import start_logging
from lifecycle.llama.decoder import fast_dtype, load_decoder, with_lora
from training.recipe import PROGRESS_FILE
from training.run.job import train
from training.tasks.recipes.text import TextRecipe

VALIDATION_ROWS = 256
MATMUL_SIZE = 1024
MATMUL_SECONDS = 3.0


def main() -> None:
    """Run both sides in turn, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--examples", type=int, default=3840)
    arguments = parser.parse_args()
    start_logging()
    recipe = TextRecipe.load(CONFIGS / "journey_text.yaml")
    ours = []
    plain = []
    with scratch_folder() as folder:
        places, data = prepare_shop("journey", folder)
        for seed in range(arguments.runs):
            ours.append(run_ours(recipe, places, folder / f"ours-{seed}", arguments.examples, seed))
            plain.append(run_plain(places["examples"], recipe.base_model, arguments.examples, seed))
            print(f"run {seed + 1}: ours {ours[-1]}, plain {plain[-1]}", flush=True)
    speeds = [one["tokens_per_second"] for one in ours]
    peak = matmul_peak()
    numbers: dict[str, Json] = {
        "ratio_to_plain_trainer": statistics.median(
            one["tokens_per_second"] / other["tokens_per_second"]
            for one, other in zip(ours, plain, strict=True)
        ),
        "matmul_share": statistics.median(speeds) * flops_per_token(recipe) / peak,
        "val_loss_ours": statistics.median(one["val_loss"] for one in ours),
        "val_loss_plain": statistics.median(other["val_loss"] for other in plain),
        "tokens_per_second": speeds,
        "tokens_per_second_plain": [other["tokens_per_second"] for other in plain],
        "val_losses": [one["val_loss"] for one in ours],
        "val_losses_plain": [other["val_loss"] for other in plain],
        "matmul_peak_gflops": peak / 1e9,
        "num_examples": arguments.examples,
    }
    write_evidence("training_speed", numbers, seeds=range(arguments.runs), data=data)


def run_ours(
    recipe: TextRecipe, places: dict[str, Path], output: Path, num_examples: int, seed: int
) -> dict[str, float]:
    """The shipped recipe for as many examples; speed before the only validation, which is at the end."""
    steps = num_examples // recipe.global_batch
    changes = {
        "output": output,
        "max_steps": steps,
        "checkpoint_every_steps": steps,
        "seed": seed,
        "tracking": None,
    }
    train(recipe.model_copy(update=places | changes | {"validation_rows": VALIDATION_ROWS}))
    lines = [json.loads(line) for line in (output / PROGRESS_FILE).read_text().splitlines()]
    return {"tokens_per_second": lines[-2]["tokens_per_second"], "val_loss": lines[-1]["val_loss"]}


def run_plain(examples: Path, base_model: str, num_examples: int, seed: int) -> dict[str, float]:
    """The plain script in a process that may use both cores."""
    words = [str(examples), base_model, str(num_examples), str(VALIDATION_ROWS), str(seed)]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "benchmarks.peers.plain_trainer", *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def flops_per_token(recipe: TextRecipe) -> float:
    """Of one training step: 2 per weight of the decoder's layers forward, 2 back through them; adapters add 6 each."""
    decoder = load_decoder(recipe.decoder, fast_dtype("cpu"))
    frozen = sum(one.numel() for name, one in decoder.named_parameters() if "layers" in name)
    assert recipe.lora is not None
    adapted = with_lora(decoder, recipe.lora)
    adapters = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    return float(4 * frozen + 6 * adapters)


def matmul_peak() -> float:
    """Floating-point operations per second of square products in as many processes as cores, one thread each."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count()) as pool:
        return float(sum(pool.map(_matmul_speed, range(os.cpu_count() or 1))))


def _matmul_speed(_: int) -> float:
    torch.set_num_threads(1)
    left = torch.randn(MATMUL_SIZE, MATMUL_SIZE, dtype=fast_dtype("cpu"))
    right = torch.randn(MATMUL_SIZE, MATMUL_SIZE, dtype=fast_dtype("cpu"))
    count = 0
    started_at = time.perf_counter()
    while (seconds := time.perf_counter() - started_at) < MATMUL_SECONDS:
        left @ right
        count += 1
    return 2.0 * MATMUL_SIZE**3 * count / seconds


if __name__ == "__main__":
    main()
