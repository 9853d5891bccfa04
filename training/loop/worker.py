"""What every training worker runs: the model under DeepSpeed, batches, checkpoints, and the member at the end."""

import json
import logging
import math
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.distributed
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor

from lifecycle.config import Tree
from lifecycle.folders import MANIFEST, new_folder, write_manifest
from lifecycle.jobs import start_logging
from lifecycle.llama.member import MEMBER_KIND
from training.loop.batch_order import BatchOrder
from training.loop.best import Best, trained_weights
from training.loop.checkpoint import find_checkpoint, gathered_state, report_checkpoint, restore
from training.loop.checkpoint_files import trim_progress
from training.loop.engine import join_group, leave_group, quiet_libraries, start_engine
from training.loop.patience import Patience
from training.recipe import PROGRESS_FILE
from training.tasks.identity import member_manifest
from training.tasks.protocol import Task
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.union import TrainConfig, parse_recipe

logger = logging.getLogger(__name__)
LOG_EVERY_SECONDS = 5.0

Report = Callable[[DeepSpeedEngine, int, dict[str, float]], None]


def train_worker(settings: Tree) -> None:
    """Entry point on each worker; `settings` is the recipe as JSON, which Ray hands over."""
    run = start_run(settings)
    best = Best(run.config.output, run.first_step) if run.config.export == "best" else None

    def report(engine: DeepSpeedEngine, step: int, metrics: dict[str, float]) -> None:
        if best is not None:
            best.offer(engine, metrics)
        report_checkpoint(run.config, engine, step, metrics)

    take_steps(run, report)
    run.export(best)
    if run.config.num_workers == 0:
        leave_group()


def start_run(settings: Tree) -> "Run":
    """The run of a recipe on this worker, at its newest checkpoint if there is one."""
    start_logging()
    quiet_libraries()
    config = parse_recipe(settings)
    torch.manual_seed(config.seed)
    torch.set_num_threads(max(1, round(config.cpus_per_worker)))
    join_group(config.device)
    task = _task(config)
    checkpoint = find_checkpoint(config.output)
    state = gathered_state(config, checkpoint)
    engine = start_engine(config, task, state)
    step = restore(config, engine, checkpoint, state) if checkpoint else 0
    if torch.distributed.get_rank() == 0:
        trim_progress(config.output / PROGRESS_FILE, step)
    return Run(config, engine, task, step)


def _task(config: TrainConfig) -> Task:
    """The recipe's task; each has libraries of its own, and a run should not wait for those of the others."""
    if isinstance(config, SftRecipe | RerankRecipe):
        from training.tasks.sft import SftTask

        return SftTask(config)
    if isinstance(config, NextItemRecipe):
        from training.tasks.next_item.task import NextItemTask

        return NextItemTask(config)
    if isinstance(config, SequenceRecipe):
        from training.tasks.sequence import SequenceTask

        return SequenceTask(config)
    from training.tasks.text import TextTask

    return TextTask(config)


def take_steps(run: "Run", report: Report) -> None:
    """Train to the end, or until patience ends; `report` gets engine, step and metrics at every checkpoint."""
    step = run.first_step
    if step:
        log(f"resumed at step {step} with {run.num_workers} workers")
    patience = Patience(run.config)
    while step < run.num_steps and not patience.is_over:
        run.take_step(step)
        step += 1
        if step % run.config.checkpoint_every_steps == 0 or step == run.num_steps:
            metrics = run.validate()
            run.write_progress(step, metrics)
            started_at = time.monotonic()
            report(run.engine, step, metrics)
            run.checkpoint_seconds += time.monotonic() - started_at
            patience.see(metrics)
    if patience.is_over:
        log(f"ended at step {step}: {patience.limit} checkpoints brought nothing better")


def log(message: str) -> None:
    """Log on rank 0 only."""
    if torch.distributed.get_rank() == 0:
        logger.info(message)


def diverged_line(step: int, loss: float, config: TrainConfig) -> str:
    """Why a run ends whose loss is no number any more: no later step would bring it back."""
    rate = config.optimizer.learning_rate
    return (
        f"the loss is {loss} at step {step}, from which no later step comes back; "
        f"lower optimizer.learning_rate (now {rate:g}), or look for numbers in base_model's config.json that are none"
    )


class Run:
    """One worker's share of a training run; owns the position in it and the progress file."""

    def __init__(
        self, config: TrainConfig, engine: DeepSpeedEngine, task: Task, first_step: int
    ) -> None:
        self.config = config
        self.engine = engine
        self.task = task
        self.first_step = first_step
        self.rank = torch.distributed.get_rank()
        self.num_workers = torch.distributed.get_world_size()
        self.num_steps = config.num_steps(task.num_rows)
        self.tokens_done = 0
        self.steps_done = 0
        self.started_at = self.logged_at = time.monotonic()
        self.checkpoint_seconds = 0.0
        self.loss = math.nan
        self.order = BatchOrder(config, task)

    def take_step(self, step: int) -> None:
        """One optimiser step: this worker's micro-batches of the global batch.

        DeepSpeed takes the mean over micro-batches; the share of each in the weights makes it that
        over examples.
        """
        rows, epochs = self.order.step(step)
        weights = self.task.weights(rows)
        width = self.config.micro_batch
        parts = [
            part.reshape(-1, width)[self.rank :: self.num_workers]
            for part in (rows, epochs, weights)
        ]
        losses = []
        for micro_rows, micro_epochs, micro_weights in zip(*parts, strict=True):
            loss, num_tokens = self.task.loss(self.engine, micro_rows, micro_epochs)
            loss = loss * float(micro_weights.mean() / weights.mean())
            self.engine.backward(loss)
            self.engine.step()
            losses.append(loss.detach())
            self.tokens_done += num_tokens * self.num_workers
        self.steps_done += 1
        self.loss = float(self._mean_over_workers(torch.stack(losses).mean()))
        if not math.isfinite(self.loss):
            raise ValueError(diverged_line(step + 1, self.loss, self.config))
        now = time.monotonic()
        if now - self.logged_at >= LOG_EVERY_SECONDS or self.steps_done == 1:
            self.logged_at = now
            self.write_progress(step + 1, {})

    def _mean_over_workers(self, value: Tensor) -> Tensor:
        torch.distributed.all_reduce(value)
        return value / self.num_workers

    def write_progress(self, step: int, metrics: dict[str, float]) -> None:
        """Append a line to progress.jsonl and to the log."""
        if self.rank != 0:
            return
        seconds = time.monotonic() - self.started_at
        eta = seconds / max(self.steps_done, 1) * (self.num_steps - step)
        speed = self.tokens_done / seconds
        line = {
            "step": step,
            "loss": self.loss,
            "tokens_per_second": speed,
            "eta_seconds": eta,
            "seconds": seconds,
            "checkpoint_seconds": self.checkpoint_seconds,
            **metrics,
        }
        with (self.config.output / PROGRESS_FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")
        extra = "".join(f", {name} {value:.4g}" for name, value in metrics.items())
        logger.info(
            "step %d/%d, loss %.4f, %.0f tokens/s, ETA %.0f s%s",
            step,
            self.num_steps,
            self.loss,
            speed,
            eta,
            extra,
        )

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """The task's metrics on its validation rows, which the workers share."""
        self.engine.eval()
        sums = torch.zeros(1)
        num_rows = self.task.num_validation_rows
        mine = list(range(self.rank, num_rows, self.num_workers))
        # Under ZeRO-3 every forward pass is collective: all workers make as many.
        share = math.ceil(num_rows / self.num_workers)
        weights = np.ones(share)
        while len(mine) < share:
            mine.append(0)
            weights[len(mine) - 1] = 0
        for chosen, of_rows in self.task.validation_sums(self.engine, mine):
            for position, of_row in zip(chosen, of_rows, strict=True):
                sums = sums + weights[position] * of_row
        self.engine.train()
        sums = sums.to(self.engine.device)  # the group of GPU workers reduces GPU tensors alone
        torch.distributed.all_reduce(sums)
        return self.task.metrics(sums)

    def export(self, best: Best | None) -> None:
        """Write the member from rank 0: the best weights, if some were kept, or the last ones."""
        folder = self.config.output / "member"
        if best is None or best.metrics is None:
            metrics = self.validate()
            weights = trained_weights(self.engine)
        else:
            metrics = best.metrics
            weights = best.weights() if self.rank == 0 else {}
        if self.rank == 0 and not (folder / MANIFEST).exists():
            manifest = member_manifest(self.config, metrics)
            with new_folder(folder) as temporary:
                self.task.save(self.engine.module, weights, temporary)
                write_manifest(temporary, MEMBER_KIND, manifest)
            logger.info("%s written", folder)
        if self.rank == 0 and best is not None:
            best.remove()
        torch.distributed.barrier()
