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
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lifecycle.folders import MANIFEST, new_folder
from lifecycle.jobs import start_logging
from lifecycle.member import MEMBER_KIND
from lifecycle.model import (
    TextValueModel,
    fast_dtype,
    load_tokenizer,
    new_value_model,
    pad_tokens,
    save_value_model,
    token_batches,
)
from lifecycle.value.ziln import expectation, ziln_loss
from training.checkpoint import report_checkpoint, restore
from training.examples import Examples, check_lengths, read_examples
from training.recipe import PROGRESS_FILE, TrainConfig, member_content
from training.zero import zero_config

logger = logging.getLogger(__name__)
LOG_EVERY_SECONDS = 5.0

Report = Callable[[DeepSpeedEngine, int, dict[str, float]], None]


def train_worker(settings: dict[str, object]) -> None:
    """Entry point on each worker; `settings` is the recipe as JSON, which Ray hands over."""
    run = start_run(settings)
    take_steps(run, restore(run.engine), report_checkpoint)
    run.export(run.validate())


def start_run(settings: dict[str, object]) -> "Run":
    """The run of a recipe on this worker, before its first step."""
    start_logging()
    quiet_libraries()
    config = TrainConfig.model_validate(settings)
    torch.manual_seed(config.seed)
    torch.set_num_threads(max(1, round(config.cpus_per_worker)))
    join_group(config)
    examples, tokenizer = read_examples(config), load_tokenizer(config.base_model)
    rank, num_workers = torch.distributed.get_rank(), torch.distributed.get_world_size()
    check_lengths(tokenizer, (examples.prompts + examples.val_prompts)[rank::num_workers], config.max_tokens)
    return Run(config, start_engine(config, examples), tokenizer, examples)


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


def start_engine(config: TrainConfig, examples: Examples) -> DeepSpeedEngine:
    """The model under DeepSpeed, head and decoder with their own learning rates."""
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32, "auto": fast_dtype(config.device)}[config.dtype]
    model = new_value_model(config.decoder, config.lora, dtype)
    model.head.start_from(torch.tensor(examples.targets, dtype=torch.float32))
    if config.gradient_checkpointing:
        model.decoder.gradient_checkpointing_enable()  # type: ignore[operator]
    groups = [
        {"params": [p for p in model.decoder.parameters() if p.requires_grad], "lr": config.optimizer.learning_rate},
        {"params": list(model.head.parameters()), "lr": config.optimizer.head_learning_rate},
    ]
    num_steps = config.num_steps(len(examples.prompts))
    engine, *_ = deepspeed.initialize(
        model=model,
        model_parameters=groups,
        config=zero_config(config, num_steps, bf16=dtype == torch.bfloat16),
    )
    return engine


class Run:
    """One worker's share of a training run; owns the position in it and the progress file."""

    def __init__(
        self, config: TrainConfig, engine: DeepSpeedEngine, tokenizer: PreTrainedTokenizerBase, examples: Examples
    ) -> None:
        self.config, self.engine, self.tokenizer, self.examples = config, engine, tokenizer, examples
        self.rank, self.num_workers = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.num_steps = config.num_steps(len(examples.prompts))
        self.tokens_done, self.steps_done = 0, 0
        self.started_at = self.logged_at = time.monotonic()
        self.loss = math.nan

    def batch_rows(self, step: int) -> np.ndarray:
        """Positions of the examples of one optimiser step, shape (global_batch,), the same on every worker."""
        num_rows = len(self.examples.prompts)
        first = step * self.config.global_batch
        epochs = range(first // num_rows, (first + self.config.global_batch - 1) // num_rows + 1)
        order = np.concatenate([np.random.default_rng([self.config.seed, e]).permutation(num_rows) for e in epochs])
        start = first - epochs[0] * num_rows
        return order[start : start + self.config.global_batch]

    def take_step(self, step: int) -> None:
        """One optimiser step: this worker's micro-batches of the global batch."""
        rows = self.batch_rows(step)[self.rank :: self.num_workers]
        losses = []
        for micro in rows.reshape(self.config.accumulation, self.config.micro_batch):
            ids, mask = self._tokens([self.examples.prompts[row] for row in micro])
            target = torch.tensor(self.examples.targets[micro], dtype=torch.float32, device=self.engine.device)
            loss = ziln_loss(self.engine(ids, mask), target)
            self.engine.backward(loss)
            self.engine.step()
            losses.append(loss.detach())
            self.tokens_done += int(mask.sum()) * self.num_workers
        self.steps_done += 1
        self.loss = float(self._mean_over_workers(torch.stack(losses).mean()))
        now = time.monotonic()
        if now - self.logged_at >= LOG_EVERY_SECONDS or self.steps_done == 1:
            self.logged_at = now
            self.write_progress(step + 1, {})

    def _tokens(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        tokens = self.tokenizer(prompts)["input_ids"]
        ids, mask = pad_tokens(tokens, self.tokenizer.pad_token_id)
        return ids.to(self.engine.device), mask.to(self.engine.device)

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
        sums = torch.zeros(3)
        mine = list(range(self.rank, len(self.examples.val_prompts), self.num_workers))
        # Under ZeRO-3 every forward pass is collective: all workers make as many.
        share = math.ceil(len(self.examples.val_prompts) / self.num_workers)
        weights = np.ones(share)
        while len(mine) < share:
            mine.append(0)
            weights[len(mine) - 1] = 0
        prompts = [self.examples.val_prompts[row] for row in mine]
        for chosen, ids, mask in token_batches(
            self.tokenizer, prompts, self.config.max_tokens, self.config.micro_batch
        ):
            logits = self.engine(ids.to(self.engine.device), mask.to(self.engine.device)).cpu()
            for position, row_logits in zip(chosen, logits, strict=True):
                target = torch.tensor([self.examples.val_targets[mine[position]]])
                loss = ziln_loss(row_logits[None], target)
                error = (expectation(row_logits[None]) - target)[0] ** 2
                sums += weights[position] * torch.tensor([float(loss), float(error), 1.0])
        self.engine.train()
        sums = sums.to(self.engine.device)  # the group of GPU workers reduces GPU tensors alone
        torch.distributed.all_reduce(sums)
        rmse = math.sqrt(float(sums[1] / sums[2])) * self.examples.scale
        return {"val_loss": float(sums[0] / sums[2]), "val_rmse": rmse}

    def export(self, metrics: dict[str, float]) -> None:
        """Write the member from rank 0, its sharded weights gathered from all workers."""
        model: TextValueModel = self.engine.module
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        with deepspeed.zero.GatheredParameters([p for _, p in trained], enabled=self.config.zero.stage == 3):
            state = {name: p.detach().cpu().clone() for name, p in trained} if self.rank == 0 else {}
        folder = self.config.output / "member"
        if self.rank == 0 and not (folder / MANIFEST).exists():
            content = member_content(self.config) | {"metrics": metrics}
            with new_folder(folder, MEMBER_KIND, content) as temporary:
                save_value_model(model, state, self.examples.scale, temporary)
            logger.info("%s written", folder)
        torch.distributed.barrier()
