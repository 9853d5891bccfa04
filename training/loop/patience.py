"""When a run ends before its last step: after so many checkpoints in a row that were no better than the best."""

import json
import math

import torch.distributed

from training.loop.best import badness
from training.recipe import PROGRESS_FILE
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.union import TrainConfig


class Patience:
    """Owns how bad the best checkpoint was and how many came after it; the same on every worker.

    A run that goes on takes up what its progress file tells of the checkpoints before.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.limit = config.patience if isinstance(config, NextItemRecipe) else None
        self.least = math.inf
        self.num_since = 0
        if self.limit is None:
            return
        path = config.output / PROGRESS_FILE
        is_first = torch.distributed.get_rank() == 0
        found = [path.read_text() if is_first and path.exists() else ""]
        torch.distributed.broadcast_object_list(found)
        for line in map(json.loads, found[0].splitlines()):
            if "val_loss" in line:
                self.see(line)

    @property
    def is_over(self) -> bool:
        """Whether the run is to end."""
        return self.limit is not None and self.num_since >= self.limit

    def see(self, metrics: dict[str, float]) -> None:
        """Take note of a checkpoint's metrics."""
        bad = badness(metrics)
        self.num_since = 0 if bad < self.least else self.num_since + 1
        self.least = min(self.least, bad)
