"""The training recipe: what `training.run` reads, its workers obey and `tuning.run` varies."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from lifecycle.config import Config
from lifecycle.features.sequence import SequenceSettings
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings

PROGRESS_FILE = "progress.jsonl"
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
FAILURE_LIMITS = {"max_failures", "start_timeout_seconds", "keep_checkpoints", "min_workers"}
NEEDED = {"value": ("data", "examples"), "sft": ("conversations", "adapter", "base_model")}
# A language model without its deeper layers no longer writes, so only the value task may drop them.
UNUSED = {
    "value": ("conversations", "validation_conversations", "adapter"),
    "sft": (
        "data",
        "examples",
        "num_layers",
        "activation_cache",
        "sequence",
        "start_from",
        "next_event_weight",
        "next_item_positions",
    ),
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

    uri: str = "sqlite:///runs/mlflow/mlflow.db"  # from where the job starts, artifacts beside; or http(s)://HOST:PORT
    experiment: str = Field("evervalue", min_length=1, max_length=500)
    model_name: str | None = Field(
        None, pattern=r"^[^/:]+$"
    )  # in the registry; None: evervalue-<name of the member>

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


class TrainConfig(Config):
    """Recipe of `python -m training.run`."""

    task: Literal["value", "sft"] = "value"
    data: Path | None = None  # of task value, as are examples
    examples: Path | None = None
    conversations: Path | None = None  # of task sft: a JSON-lines file, a folder of them or a glob
    validation_conversations: Path | None = (
        None  # likewise; None holds out a twentieth of `conversations`
    )
    adapter: str | None = Field(
        None, pattern="^[a-z0-9_-]+$"
    )  # what task sft teaches, such as service or sentiment
    encoder: Literal["text", "sequence"] = "text"
    base_model: str | None = (
        None  # the text encoder; with the sequence encoder what reads the titles of items
    )
    num_layers: int | None = Field(
        None, ge=1
    )  # of the base model, from the bottom; None: all; of task value
    lora: LoraSettings | None = LoraSettings()  # null fine-tunes all weights
    max_tokens: int = Field(160, ge=8)
    dtype: Literal["auto", "bf16", "fp32"] = (
        "auto"  # auto: bf16 where the processor multiplies it natively
    )
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = (
        "auto"  # what is fastest on the device
    )
    gradient_checkpointing: bool = False
    activation_cache: Path | None = (
        None  # keeps what the layers below lora.num_layers make of each prompt, for all runs
    )
    sequence: SequenceSettings = SequenceSettings()  # of the sequence encoder
    start_from: Path | None = (
        None  # a member of the sequence encoder, of this shop or another; None: from scratch
    )
    next_event_weight: float = Field(
        0.1, ge=0
    )  # of its loss of the next item, gap and amount beside that of the value
    next_item_positions: int = Field(
        256, ge=1
    )  # of each micro-batch, at which the next item is asked for
    optimizer: OptimizerSettings = OptimizerSettings()
    zero: ZeroSettings = ZeroSettings()
    global_batch: int = Field(32, ge=1)  # examples per optimiser step, over all workers
    micro_batch: int = Field(8, ge=1)  # examples per worker and forward pass
    epochs: float = Field(1.0, gt=0)
    max_steps: int | None = Field(None, ge=1)
    validation_rows: int = Field(128, ge=1)  # a seeded sample, scored at every checkpoint
    checkpoint_every_steps: int = Field(25, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    export: Literal["best", "last"] = (
        "best"  # the weights at the checkpoint of least validation loss, or at the end
    )
    max_failures: int = Field(
        3, ge=0
    )  # lost workers, or starts that failed, before the run gives up
    start_timeout_seconds: int = Field(180, ge=10)
    num_workers: int = Field(
        2, ge=0
    )  # 0: one, inside the driver, without checkpoints (tests, short trials)
    min_workers: int | None = Field(
        None, ge=1
    )  # go on with so few where nodes are lost; None: wait for others
    cpus_per_worker: float = Field(1.0, gt=0)
    device: Literal["cpu", "gpu"] = "cpu"
    seed: int = 0
    tracking: TrackingSettings | None = TrackingSettings()  # null: nothing is entered in MLflow
    output: Path

    @property
    def decoder(self) -> DecoderSettings:
        """Which decoder reads the prompts, and how."""
        assert self.base_model is not None, "of the text encoder alone"
        return DecoderSettings(
            self.base_model, self.num_layers, self.attention, self.max_tokens, self.device
        )

    @property
    def gathered_checkpoints(self) -> bool:
        """Whether checkpoints hold whole tensors, which any number of workers can load, or DeepSpeed's shards."""
        return self.encoder == "sequence" or self.lora is not None

    @property
    def examples_folder(self) -> Path:
        """Where the examples lie."""
        assert self.examples is not None, "of task value alone"
        return self.examples

    def accumulation(self, num_workers: int) -> int:
        """Forward passes of each of so many workers per optimiser step; ValueError where they do not divide it."""
        per_pass = self.micro_batch * num_workers
        if self.global_batch % per_pass:
            raise ValueError(
                f"global_batch is {self.global_batch}; it must be a multiple of micro_batch x num_workers = "
                f"{self.micro_batch} x {num_workers} = {per_pass}"
            )
        return self.global_batch // per_pass

    @model_validator(mode="after")
    def _keys_fit_the_task(self) -> "TrainConfig":
        if self.task == "sft" and self.encoder != "text":
            raise ValueError(
                f"task sft teaches a language model: encoder must be text, not {self.encoder}"
            )
        missing = [name for name in NEEDED[self.task] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"task {self.task} needs {', '.join(missing)}")
        unused = [
            name
            for name in UNUSED[self.task]
            if getattr(self, name) != type(self).model_fields[name].default
        ]
        if (
            self.task == "sft"
            and self.optimizer.head_learning_rate != OptimizerSettings().head_learning_rate
        ):
            unused.append("optimizer.head_learning_rate")
        if unused:
            raise ValueError(
                f"task {self.task} does not use {', '.join(unused)}; leave that out of the recipe"
            )
        return self

    @model_validator(mode="after")
    def _text_needs_a_base_model(self) -> "TrainConfig":
        if self.encoder == "text" and self.base_model is None:
            raise ValueError("encoder text needs base_model, a folder with a Hugging Face decoder")
        if self.encoder == "text" and self.start_from is not None:
            raise ValueError(
                "start_from is for encoder sequence; encoder text starts from base_model"
            )
        return self

    @model_validator(mode="after")
    def _flash_attention_needs_a_gpu(self) -> "TrainConfig":
        if self.attention == "flash_attention_2" and (self.device == "cpu" or self.dtype == "fp32"):
            raise ValueError(
                f"attention is flash_attention_2 with device {self.device} and dtype {self.dtype}; "
                "it needs device gpu and dtype bf16 or auto"
            )
        return self

    @model_validator(mode="after")
    def _cache_needs_frozen_layers(self) -> "TrainConfig":
        if self.activation_cache is None:
            return self
        if self.encoder != "text":
            raise ValueError(
                f"activation_cache needs encoder text, not {self.encoder}, all of whose layers are trained"
            )
        if self.lora is None or self.lora.num_layers is None:
            raise ValueError(
                "activation_cache needs lora.num_layers: without it no layer stays as it is"
            )
        if self.num_layers is not None:
            self.frozen_layers(self.num_layers)
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> "TrainConfig":
        self.accumulation(max(self.num_workers, 1))
        if self.min_workers is not None:
            self.accumulation(self.min_workers)
            if self.min_workers > self.num_workers:
                raise ValueError(
                    f"min_workers is {self.min_workers}, more than num_workers, which is {self.num_workers}"
                )
        return self

    def frozen_layers(self, total: int) -> int:
        """How many of a decoder's layers lie below those that LoRA adapts; ValueError where none does."""
        assert self.lora is not None and self.lora.num_layers is not None
        if self.lora.num_layers >= total:
            raise ValueError(
                f"lora.num_layers is {self.lora.num_layers}; activation_cache needs fewer than all {total} layers"
            )
        return total - self.lora.num_layers

    def num_steps(self, num_rows: int) -> int:
        """Optimiser steps for `num_rows` training rows; the last incomplete batch of the run is left out."""
        steps = int(num_rows * self.epochs) // self.global_batch
        if steps == 0:
            raise ValueError(
                f"global_batch is {self.global_batch}, but the run has only {num_rows} rows"
            )
        return min(steps, self.max_steps or steps)
