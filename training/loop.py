"""What every training worker runs: the model under DeepSpeed, batches, checkpoints, and the member at the end."""

import io
import json
import logging
import math
import os
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout

import deepspeed
import numpy as np
import torch
import torch.distributed
from deepspeed.runtime.engine import DeepSpeedEngine
from torch import Tensor, nn

from lifecycle.folders import MANIFEST, new_folder
from lifecycle.jobs import start_logging
from lifecycle.member import MEMBER_KIND
from lifecycle.model import fast_dtype
from lifecycle.value.ziln import expectation, ziln_loss
from training.checkpoint import report_checkpoint, restore
from training.recipe import PROGRESS_FILE, TrainConfig, member_content
from training.sequence_task import SequenceTask
from training.task import Task
from training.text_task import TextTask
from training.zero import zero_config

logger = logging.getLogger(__name__)
LOG_EVERY_SECONDS = 5.0
BUCKET_STEPS = 16  # steps whose examples are sorted by length together

Report = Callable[[DeepSpeedEngine, int, dict[str, float]], None]


def train_worker(settings: dict[str, object]) -> None:
    """Entry point on each worker; `settings` is the recipe as JSON, which Ray hands over."""
    run = start_run(settings)
    take_steps(run, restore(run.engine), report_checkpoint)
    run.export(run.validate())
    if run.config.num_workers == 0:  # Ray would leave torch's group and let DeepSpeed keep it for the next run
        deepspeed.comm.destroy_process_group()


def start_run(settings: dict[str, object]) -> "Run":
    """The run of a recipe on this worker, before its first step."""
    start_logging()
    quiet_libraries()
    config = TrainConfig.model_validate(settings)
    torch.manual_seed(config.seed)
    torch.set_num_threads(max(1, round(config.cpus_per_worker)))
    join_group(config)
    task = _task(config)
    return Run(config, start_engine(config, task), task)


def _task(config: TrainConfig) -> Task:
    if config.encoder == "sequence":
        return SequenceTask(config)
    return TextTask(config, torch.distributed.get_rank(), torch.distributed.get_world_size())


def quiet_libraries() -> None:
    """Leave the terminal to our progress: no advice to DeepSpeed's own developers."""
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.distributed")


def take_steps(run: "Run", step: int, report: Report) -> None:
    """Train from `step` to the end; `report` gets engine, step and validation metrics at every checkpoint."""
    if step:
        log(f"resumed at step {step}")
    while step < run.num_steps:
        run.take_step(step)
        step += 1
        if step % run.config.checkpoint_every_steps == 0 or step == run.num_steps:
            metrics = run.validate()
            run.write_progress(step, metrics)
            report(run.engine, step, metrics)


def join_group(config: TrainConfig) -> None:
    """Give DeepSpeed the process group that Ray Train made; without workers, a group of one."""
    if not torch.distributed.is_initialized():
        store = torch.distributed.HashStore()  # type: ignore[attr-defined]
        torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    if torch.distributed.get_world_size() == 1:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
    with redirect_stdout(io.StringIO()):  # it prints that its op is built
        deepspeed.init_distributed(
            "nccl" if config.device == "gpu" else "gloo", auto_mpi_discovery=False, verbose=False
        )


def log(message: str) -> None:
    """Log on rank 0 only."""
    if torch.distributed.get_rank() == 0:
        logger.info(message)


def start_engine(config: TrainConfig, task: Task) -> DeepSpeedEngine:
    """The task's model under DeepSpeed."""
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32, "auto": fast_dtype(config.device)}[config.dtype]
    model, groups = task.new_model(dtype)
    engine, *_ = deepspeed.initialize(
        model=model,
        model_parameters=groups,
        config=zero_config(config, config.num_steps(task.num_rows), bf16=dtype == torch.bfloat16),
    )
    engine.train()  # a model is loaded in evaluation mode, in which it neither drops out nor checkpoints gradients
    return engine


class Run:
    """One worker's share of a training run; owns the position in it and the progress file."""

    def __init__(self, config: TrainConfig, engine: DeepSpeedEngine, task: Task) -> None:
        self.config, self.engine, self.task = config, engine, task
        self.rank, self.num_workers = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.num_steps = config.num_steps(task.num_rows)
        self.tokens_done, self.steps_done = 0, 0
        self.started_at = self.logged_at = time.monotonic()
        self.loss = math.nan
        self.sorted_window, self.sorted_batches = -1, (np.empty(0), np.empty(0))

    def batch_rows(self, step: int) -> np.ndarray:
        """Positions of the examples of one optimiser step, shape (global_batch,), the same on every worker."""
        return self.batch(step)[0]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and their epochs of one optimiser step, each of shape (global_batch,), the same on every worker.

        Examples that differ in length are sorted over BUCKET_STEPS steps, so that those of one forward pass, on all
        workers, are of similar length; which passes make a step is drawn at random again.
        """
        size = self.config.global_batch
        if not self.task.varies_in_length:
            return self._stream(step * size, size)
        window, place = divmod(step, BUCKET_STEPS)
        if self.sorted_window != window:
            self.sorted_window, self.sorted_batches = window, self._sort(window)
        rows, epochs = self.sorted_batches
        return rows[place], epochs[place]

    def _sort(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and epochs of BUCKET_STEPS steps, each of shape (steps, global_batch)."""
        size = self.config.global_batch
        rows, epochs = self._stream(window * BUCKET_STEPS * size, BUCKET_STEPS * size)
        order = np.argsort(self.task.lengths(rows, epochs), kind="stable")
        passes = order.reshape(-1, self.config.micro_batch * self.num_workers)
        shuffled = np.random.default_rng([self.config.seed, window, 2]).permutation(passes).reshape(BUCKET_STEPS, size)
        return rows[shuffled], epochs[shuffled]

    def _stream(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and epochs from a place in the endless stream of epochs, each a permutation of all rows."""
        num_rows = self.task.num_rows
        epochs = np.arange(first, first + count) // num_rows
        orders = [np.random.default_rng([self.config.seed, epoch]).permutation(num_rows) for epoch in np.unique(epochs)]
        start = first - int(epochs[0]) * num_rows
        return np.concatenate(orders)[start : start + count], epochs

    def take_step(self, step: int) -> None:
        """One optimiser step: this worker's micro-batches of the global batch."""
        shape = self.config.accumulation, self.config.micro_batch
        rows, epochs = (part[self.rank :: self.num_workers].reshape(shape) for part in self.batch(step))
        losses = []
        for micro_rows, micro_epochs in zip(rows, epochs, strict=True):
            loss, num_tokens = self.task.loss(self.engine, micro_rows, micro_epochs)
            self.engine.backward(loss)
            self.engine.step()
            losses.append(loss.detach())
            self.tokens_done += num_tokens * self.num_workers
        self.steps_done += 1
        self.loss = float(self._mean_over_workers(torch.stack(losses).mean()))
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
        line = {"step": step, "loss": self.loss, "tokens_per_second": speed, "eta_seconds": eta, **metrics}
        with (self.config.output / PROGRESS_FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")
        extra = "".join(f", {name} {value:.4g}" for name, value in metrics.items())
        logger.info("step %d/%d, loss %.4f, %.0f tokens/s, ETA %.0f s%s",
                    step, self.num_steps, self.loss, speed, eta, extra)  # fmt: skip

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Loss and RMSE (in currency) on the validation sample, its rows shared among the workers."""
        self.engine.eval()
        sums, num_rows = torch.zeros(3), len(self.task.val_targets)
        mine = list(range(self.rank, num_rows, self.num_workers))
        # Under ZeRO-3 every forward pass is collective: all workers make as many.
        share = math.ceil(num_rows / self.num_workers)
        weights = np.ones(share)
        while len(mine) < share:
            mine.append(0)
            weights[len(mine) - 1] = 0
        for chosen, logits in self.task.val_logits(self.engine, mine):
            for position, row_logits in zip(chosen, logits, strict=True):
                target = torch.tensor([self.task.val_targets[mine[position]]])
                loss = ziln_loss(row_logits[None], target)
                error = (expectation(row_logits[None]) - target)[0] ** 2
                sums += weights[position] * torch.tensor([float(loss), float(error), 1.0])
        self.engine.train()
        sums = sums.to(self.engine.device)  # the group of GPU workers reduces GPU tensors alone
        torch.distributed.all_reduce(sums)
        rmse = math.sqrt(float(sums[1] / sums[2])) * self.task.scale
        return {"val_loss": float(sums[0] / sums[2]), "val_rmse": rmse}

    def export(self, metrics: dict[str, float]) -> None:
        """Write the member from rank 0, its sharded weights gathered from all workers."""
        model: nn.Module = self.engine.module
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        with deepspeed.zero.GatheredParameters([p for _, p in trained], enabled=self.config.zero.stage == 3):
            state = {name: p.detach().cpu().clone() for name, p in trained} if self.rank == 0 else {}
        folder = self.config.output / "member"
        if self.rank == 0 and not (folder / MANIFEST).exists():
            content = member_content(self.config) | {"metrics": metrics}
            with new_folder(folder, MEMBER_KIND, content) as temporary:
                self.task.save(model, state, temporary)
            logger.info("%s written", folder)
        torch.distributed.barrier()
