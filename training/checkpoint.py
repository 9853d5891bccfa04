"""Checkpoints of a run in progress: every worker's part of DeepSpeed's state, reported to Ray Train."""

import json
import tempfile
from pathlib import Path

import ray.train
from deepspeed.runtime.engine import DeepSpeedEngine

TAG = "state"
POSITION_FILE = "position.json"


def report_checkpoint(engine: DeepSpeedEngine, step: int, metrics: dict[str, float]) -> None:
    """Save this worker's part and report it; the checkpoint counts once every worker has reported.

    Raises OSError where the disk is full; the previous checkpoint stays in force.
    """
    with tempfile.TemporaryDirectory(prefix="evervalue-checkpoint-") as folder:
        engine.save_checkpoint(folder, tag=TAG, exclude_frozen_parameters=True)
        if ray.train.get_context().get_world_rank() == 0:
            (Path(folder) / POSITION_FILE).write_text(json.dumps({"step": step}))
        ray.train.report(metrics | {"step": step}, checkpoint=ray.train.Checkpoint.from_directory(folder))


def restore(engine: DeepSpeedEngine) -> int:
    """Load the newest complete checkpoint of this run, if there is one; returns the steps already done."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        engine.load_checkpoint(folder, tag=TAG, load_module_strict=False)
        return int(json.loads((Path(folder) / POSITION_FILE).read_text())["step"])
