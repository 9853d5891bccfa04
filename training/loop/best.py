"""The trained weights at the best validation so far, kept in the output folder until the member is written."""

import json
import logging
import math
from pathlib import Path

import deepspeed
import torch.distributed
from deepspeed.runtime.engine import DeepSpeedEngine
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lifecycle.folders import whole_file

logger = logging.getLogger(__name__)
BEST_FILE = "best.safetensors"
METRICS = "metrics"  # of the weights, in the file's own metadata
LOSS = "val_loss"
NDCG = "val_ndcg"  # of rankings


def badness(metrics: dict[str, float]) -> float:
    """What the best checkpoint has least of: the loss, or of rankings the negative NDCG."""
    return -metrics[NDCG] if NDCG in metrics else metrics[LOSS]


def trained_weights(engine: DeepSpeedEngine) -> dict[str, Tensor]:
    """What training changes, by name, on the CPU; collective, and empty but on rank 0."""
    trained = [(name, p) for name, p in engine.module.named_parameters() if p.requires_grad]
    is_sharded = engine.zero_optimization_stage() == 3
    with deepspeed.zero.GatheredParameters([p for _, p in trained], enabled=is_sharded):
        is_first = torch.distributed.get_rank() == 0
        return {name: p.detach().cpu().clone() for name, p in trained} if is_first else {}


class Best:
    """The best weights of a run; every worker knows their metrics, rank 0 writes the file."""

    def __init__(self, output: Path, first_step: int) -> None:
        self.path = output / BEST_FILE
        is_first = torch.distributed.get_rank() == 0
        if is_first and first_step == 0:  # of a run that never came to a checkpoint
            self.path.unlink(missing_ok=True)
        found = [self._metrics() if is_first else None]
        torch.distributed.broadcast_object_list(found)
        self.metrics: dict[str, float] | None = found[0]

    def offer(self, engine: DeepSpeedEngine, metrics: dict[str, float]) -> None:
        """Keep the engine's weights if they are better than those kept; collective."""
        if self.metrics is not None and not (
            badness(metrics) < badness(self.metrics) or math.isnan(badness(self.metrics))
        ):
            return
        weights = trained_weights(engine)
        if torch.distributed.get_rank() == 0:
            contiguous = {name: weight.contiguous() for name, weight in weights.items()}
            with whole_file(self.path) as unfinished:
                save_file(contiguous, unfinished, metadata={METRICS: json.dumps(metrics)})
        self.metrics = metrics

    def weights(self) -> dict[str, Tensor]:
        """The weights kept, on rank 0."""
        weights: dict[str, Tensor] = load_file(self.path)
        return weights

    def remove(self) -> None:
        """Delete the file, once the member has what it holds."""
        self.path.unlink(missing_ok=True)

    def _metrics(self) -> dict[str, float] | None:
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                metrics: dict[str, float] = json.loads(file.metadata()[METRICS])
        except SafetensorError as error:
            logger.warning("%s is damaged and removed: %s", self.path, error)
            self.path.unlink()
            return None
        return metrics
