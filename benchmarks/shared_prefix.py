"""What reading a common system message once saves: `python -m benchmarks.shared_prefix --sentences FILE.parquet`.

Sentiment of product reviews by the shipped adapter recipe, one process of one core. FILE has the
columns `sentence` and `label` (1: positive), as in the product reviews of Hu and Liu. Steps with
and without sharing take turns in one run, so that noise of the machine hits both; `ratio` is
tokens/s with over tokens/s without. The system message is the chat template's own (`short`) or a
shop's instructions of some hundred tokens (`long`).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS
from benchmarks.harness.training_run import medians
from lifecycle.jobs import start_logging
from training.loop.deepspeed_op import prepare_deepspeed
from training.tasks.recipes.union import load_recipe

NUM_STEPS = 8  # of each kind in a run
INSTRUCTIONS = """You read what customers of a shop write about the things they bought, and say how they feel. Answer
with one word: positive or negative. Positive means that the customer is glad of what they bought,
or of a part of it that the message is about. Negative means that something broke, came late, was
not as described, cost too much or was hard to use. Where a message says both, the part that the
customer would tell a friend decides. A question is negative where it asks for help with a fault. Do
not explain the answer, do not repeat the message, and do not add anything else."""


def main() -> None:
    """Measure both system messages with several seeds, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    start_logging()
    prepare_deepspeed("cpu")
    numbers: dict[str, Json] = {}
    with scratch_folder() as folder:
        for kind, message in (("short", None), ("long", INSTRUCTIONS)):
            conversations = folder / f"{kind}.jsonl"
            write_conversations(conversations, arguments.sentences, message)
            runs = [
                measure(conversations, folder / f"{kind}-{seed}", seed)
                for seed in range(arguments.runs)
            ]
            usual = medians(runs)
            numbers |= {f"{kind}_{key}": value for key, value in usual.items()}
            numbers[f"{kind}_runs"] = runs
            print(f"{kind}: {usual}", flush=True)
    write_evidence(
        "shared_prefix", numbers, seeds=range(arguments.runs), data=[arguments.sentences]
    )


def write_conversations(path: Path, sentences: Path, message: str | None) -> None:
    """One conversation per sentence, its label as the answer."""
    system = [] if message is None else [{"role": "system", "content": message}]
    rows = pl.read_parquet(sentences, columns=["sentence", "label"])
    with path.open("w") as file:
        for sentence, label in rows.iter_rows():
            answer = "positive" if label == 1 else "negative"
            turns = [
                {"role": "user", "content": sentence},
                {"role": "assistant", "content": answer},
            ]
            file.write(json.dumps({"messages": system + turns}) + "\n")


def measure(conversations: Path, output: Path, seed: int) -> dict[str, float]:
    """Real tokens/s with and without sharing, in turns."""
    from training.loop.worker import start_run
    from training.tasks.sft import SftTask

    changes = [
        f"conversations={conversations}",
        f"output={output}",
        "num_workers=0",
        f"seed={seed}",
        "tracking=null",
    ]
    recipe = load_recipe(CONFIGS / "sft_sentiment.yaml", [*changes, "max_tokens=512"])
    output.mkdir()
    run = start_run(recipe.model_dump(mode="json"))
    assert isinstance(run.task, SftTask)
    shared = run.task.shared
    tokens = {True: 0.0, False: 0.0}
    seconds = {True: 0.0, False: 0.0}
    for step in range(2 * NUM_STEPS + 2):
        shares = step % 2 == 0
        run.task.shared = shared if shares else 0
        tokens_before = run.tokens_done
        started_at = time.perf_counter()
        run.take_step(step)
        if step >= 2:  # what happens once only is not speed
            tokens[shares] += run.tokens_done - tokens_before
            seconds[shares] += time.perf_counter() - started_at
    with_sharing = tokens[True] / seconds[True]
    without = tokens[False] / seconds[False]
    lengths = [len(conversation.ids) for conversation in run.task.conversations]
    return {
        "ratio": with_sharing / without,
        "shared_tokens": float(shared),
        "mean_tokens": float(np.mean(lengths)),
        "tokens_per_second": with_sharing,
    }


if __name__ == "__main__":
    main()
