"""Trains a recipe for real and prints how much memory that took: `python -m tests.integration.measured_training`.

Arguments: the recipe as JSON, the same recipe with a tiny model, rank, number of workers, and a
file in which they meet. The tiny run before brings in what libraries load late, so that the
difference is what the model takes.
"""

import json
import os
import sys
from pathlib import Path

import psutil

from training.loop.deepspeed_op import set_deepspeed_environment


def main() -> None:
    """Print {"added": bytes} in the last line."""
    recipe, tiny = (json.loads(word) for word in sys.argv[1:3])
    rank, num_workers, meeting = int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    set_deepspeed_environment("cpu")
    import torch.distributed

    store = torch.distributed.FileStore(meeting, num_workers)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=num_workers)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num_workers)}
    train(tiny)
    before = psutil.Process().memory_info().rss
    train(recipe)
    print(json.dumps({"added": peak_bytes() - before}))


def train(recipe: dict[str, object]) -> None:
    """All steps of a recipe, a validation and the member, as a worker does them."""
    from training.loop.worker import start_run, take_steps

    Path(str(recipe["output"])).mkdir(parents=True, exist_ok=True)
    run = start_run(recipe)
    take_steps(run, lambda engine, step, metrics: None)
    run.export(None)


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
