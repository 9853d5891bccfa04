"""What every training recipe says, whatever it teaches; what each task adds is in `training.tasks.recipes`."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from lifecycle.config import Config, Tree

PROGRESS_FILE = "progress.jsonl"
# Keys of any recipe that name files or folders. Where these lie does not decide what is learned.
PATHS = {
    "data",
    "examples",
    "start_from",
    "conversations",
    "validation_conversations",
    "base_model",
    "activation_cache",
    "output",
}


class OptimizerSettings(Config):
    """AdamW with linear warm-up and cosine decay. Learning rates are per optimiser step."""

    learning_rate: float = Field(5e-4, gt=0)
    head_learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    betas: tuple[float, float] = (0.9, 0.98)
    warmup_share: float = Field(0.06, ge=0, lt=1)  # of all steps
    final_share: float = Field(0.02, ge=0, le=1)  # of the learning rate, at the end
    clip_norm: float = Field(1.0, gt=0)


class ZeroSettings(Config):
    """DeepSpeed ZeRO: 0 nothing sharded, 1 optimiser, 2 also gradients, 3 also parameters."""

    stage: Literal[0, 1, 2, 3] = 2
    offload_optimizer: bool = False  # to the CPU of a GPU node
    offload_parameters: bool = False  # stage 3 only

    @model_validator(mode="after")
    def _offload_needs_stage(self) -> "ZeroSettings":
        if self.offload_parameters and self.stage != 3:
            raise ValueError(f"zero.offload_parameters needs zero.stage 3, not {self.stage}")
        if self.offload_optimizer and self.stage == 0:
            raise ValueError("zero.offload_optimizer needs zero.stage 1, 2 or 3")
        return self


class TrackingSettings(Config):
    """The MLflow store in which runs and trained members are entered: a file of its own, or a server."""

    # From where the job starts, artifacts beside it; or http(s)://HOST:PORT.
    uri: str = "sqlite:///runs/mlflow/mlflow.db"
    experiment: str = Field("evervalue", min_length=1, max_length=500)
    # In the registry; None: evervalue-<name of the member>.
    model_name: str | None = Field(None, pattern=r"^[^/:]+$")

    @field_validator("uri")
    @classmethod
    def _file_or_server(cls, uri: str) -> str:
        parts = urlsplit(uri)
        is_file = uri.startswith("sqlite:///") and uri != "sqlite:///"
        is_server = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        if not is_file and not is_server:
            raise ValueError(
                "it must be sqlite:///FILE, or http(s)://HOST:PORT of an MLflow server"
            )
        if parts.username is not None:
            raise ValueError(
                "recipes are saved; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
            )
        return uri


class SharedRecipe(Config):
    """The keys of all recipes of `python -m training.run`; `task` and `encoder` tell these apart."""

    task: Literal["value", "next_item", "sft", "rerank"]
    encoder: Literal["text", "sequence"]
    # auto: bf16 where the processor multiplies it faster.
    dtype: Literal["auto", "bf16", "fp32"] = "auto"
    optimizer: OptimizerSettings = OptimizerSettings()
    zero: ZeroSettings = ZeroSettings()
    global_batch: int = Field(32, ge=1)  # examples per optimiser step, over all workers
    micro_batch: int = Field(8, ge=1)  # examples per worker and forward pass
    epochs: float = Field(1.0, gt=0)
    max_steps: int | None = Field(None, ge=1)
    validation_rows: int = Field(128, ge=1)  # a seeded sample, scored at every checkpoint
    checkpoint_every_steps: int = Field(25, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    # The weights at the checkpoint of least validation loss, or at the end.
    export: Literal["best", "last"] = "best"
    # Lost workers, or starts that failed, before the run gives up.
    max_failures: int = Field(3, ge=0)
    start_timeout_seconds: int = Field(180, ge=10)
    # 0: one, inside the driver, without checkpoints (tests, short trials).
    num_workers: int = Field(2, ge=0)
    # Go on with so few where nodes are lost; None: wait for others.
    min_workers: int | None = Field(None, ge=1)
    cpus_per_worker: float = Field(1.0, gt=0)
    device: Literal["cpu", "gpu"] = "cpu"
    seed: int = 0
    tracking: TrackingSettings | None = TrackingSettings()  # null: nothing is entered in MLflow
    output: Path

    @property
    def gathered_checkpoints(self) -> bool:
        """Whether checkpoints hold whole tensors, which any number of workers can load, or DeepSpeed's shards."""
        return True

    @model_validator(mode="after")
    def _batch_divides(self) -> "SharedRecipe":
        self.accumulation(self.num_processes)
        if self.min_workers is not None:
            self.accumulation(self.min_workers)
            if self.min_workers > self.num_workers:
                raise ValueError(
                    f"min_workers is {self.min_workers}, more than num_workers, which is {self.num_workers}"
                )
        return self

    @property
    def num_processes(self) -> int:
        """Workers; without any, the driver does their work."""
        return max(self.num_workers, 1)

    def accumulation(self, num_workers: int) -> int:
        """Forward passes of each of so many workers per optimiser step; ValueError where they do not divide it."""
        per_pass = self.micro_batch * num_workers
        if self.global_batch % per_pass:
            raise ValueError(
                f"global_batch is {self.global_batch}; it must be a multiple of micro_batch x num_workers = "
                f"{self.micro_batch} x {num_workers} = {per_pass}"
            )
        return self.global_batch // per_pass

    def num_steps(self, num_rows: int) -> int:
        """Optimiser steps for `num_rows` training rows; the last incomplete batch of the run is left out."""
        steps = int(num_rows * self.epochs) // self.global_batch
        if steps == 0:
            raise ValueError(
                f"global_batch is {self.global_batch}, but the run has only {num_rows} rows x {self.epochs:g} epochs"
            )
        return min(steps, self.max_steps or steps)

    def settings(self) -> Tree:
        """The recipe as JSON, for a process that may have another working folder: its paths are absolute."""
        settings = self.model_dump(mode="json")
        for name in PATHS & settings.keys():
            if settings[name] is not None:
                settings[name] = str(Path(settings[name]).absolute())
        return settings
