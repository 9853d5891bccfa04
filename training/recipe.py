"""The training recipe: what `training.run` reads, its workers obey and `tuning.run` varies."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lifecycle.config import Config
from lifecycle.folders import fingerprint, read_manifest
from lifecycle.lora import LoraSettings
from lifecycle.member import DecoderSettings, base_model_identity
from lifecycle.sequence import SEQUENCE_VERSION, SequenceSettings
from training.prepare import EXAMPLES_KIND, read_dataset
from training.splits import LEAVE_ONE_OUT

PROGRESS_FILE = "progress.jsonl"
PATHS = {"data", "examples", "base_model", "activation_cache", "output"}
FAILURE_LIMITS = {"max_failures", "start_timeout_seconds", "keep_checkpoints"}


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


class TrainConfig(Config):
    """Recipe of `python -m training.run`."""

    data: Path
    examples: Path
    task: Literal["value"] = "value"
    encoder: Literal["text", "sequence"] = "text"
    base_model: str | None = None  # of the text encoder
    num_layers: int | None = Field(None, ge=1)  # of the base model, from the bottom; None: all
    lora: LoraSettings | None = LoraSettings()  # null fine-tunes all weights
    max_tokens: int = Field(160, ge=8)
    dtype: Literal["auto", "bf16", "fp32"] = "auto"  # auto: bf16 where the processor multiplies it natively
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"  # what is fastest on the device
    gradient_checkpointing: bool = False
    activation_cache: Path | None = (
        None  # keeps what the layers below lora.num_layers make of each prompt, for all runs
    )
    sequence: SequenceSettings = SequenceSettings()  # of the sequence encoder
    next_event_weight: float = Field(0.1, ge=0)  # of its loss of the next item, gap and amount beside that of the value
    next_item_positions: int = Field(256, ge=1)  # of each micro-batch, at which the next item is asked for
    optimizer: OptimizerSettings = OptimizerSettings()
    zero: ZeroSettings = ZeroSettings()
    global_batch: int = Field(32, ge=1)  # examples per optimiser step, over all workers
    micro_batch: int = Field(8, ge=1)  # examples per worker and forward pass
    epochs: float = Field(1.0, gt=0)
    max_steps: int | None = Field(None, ge=1)
    validation_rows: int = Field(128, ge=1)  # a seeded sample, scored at every checkpoint
    checkpoint_every_steps: int = Field(25, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    max_failures: int = Field(3, ge=0)  # lost workers, or starts that failed, before the run gives up
    start_timeout_seconds: int = Field(180, ge=10)
    num_workers: int = Field(2, ge=0)  # 0: one, inside the driver, without checkpoints (tests, short trials)
    cpus_per_worker: float = Field(1.0, gt=0)
    device: Literal["cpu", "gpu"] = "cpu"
    seed: int = 0
    output: Path

    @property
    def decoder(self) -> DecoderSettings:
        """Which decoder reads the prompts, and how."""
        assert self.base_model is not None, "of the text encoder alone"
        return DecoderSettings(self.base_model, self.num_layers, self.attention, self.max_tokens, self.device)

    @property
    def accumulation(self) -> int:
        """Forward passes of each worker per optimiser step."""
        return self.global_batch // (self.micro_batch * max(self.num_workers, 1))

    @model_validator(mode="after")
    def _text_needs_a_base_model(self) -> "TrainConfig":
        if self.encoder == "text" and self.base_model is None:
            raise ValueError("encoder text needs base_model, a folder with a Hugging Face decoder")
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
            raise ValueError("activation_cache needs lora.num_layers: without it no layer stays as it is")
        if self.num_layers is not None:
            self.frozen_layers(self.num_layers)
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> "TrainConfig":
        per_pass = self.micro_batch * max(self.num_workers, 1)
        if self.global_batch % per_pass:
            raise ValueError(
                f"global_batch is {self.global_batch}; it must be a multiple of micro_batch x num_workers = {per_pass}"
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
            raise ValueError(f"global_batch is {self.global_batch}, but the run has only {num_rows} rows")
        return min(steps, self.max_steps or steps)


def member_content(config: TrainConfig) -> dict[str, object]:
    """What the manifest of the trained member says besides its metrics and files."""
    dataset = read_dataset(config.examples)
    of_encoder: dict[str, object] = {"sequence_version": SEQUENCE_VERSION}
    if config.base_model is not None:
        of_encoder = {
            "base_model": base_model_identity(config.base_model),
            "num_layers": config.num_layers,
            "prompt_version": dataset["prompt_version"],
            "max_tokens": config.max_tokens,
        }
    return {
        "identity": run_identity(config),
        "name": f"{config.encoder}_llama",
        "task": config.task,
        "encoder": config.encoder,
        **of_encoder,
        "horizon_days": dataset["horizon_days"],
        "dataset": read_manifest(config.examples, EXAMPLES_KIND)["identity"],
        "recipe": config.model_dump(mode="json"),
    }


def run_identity(config: TrainConfig) -> str:
    """Fingerprint of what decides the trained weights: the recipe, the examples and the base model.

    Where files lie does not decide them, nor how failures are met: a run that gave up may go on with other limits.
    """
    recipe = config.model_dump(mode="json", exclude=PATHS | FAILURE_LIMITS)
    examples = read_manifest(config.examples, EXAMPLES_KIND)["identity"]
    base_model = config.base_model and base_model_identity(config.base_model)["sha256"]
    return fingerprint([recipe, examples, base_model])


def num_training_rows(config: TrainConfig) -> int:
    """Rows of an epoch: the training rows of the examples, or the training customers for the sequence encoder."""
    facts = read_dataset(config.examples)
    if facts["split"] == LEAVE_ONE_OUT:
        raise ValueError(f"task value needs examples of split time; {config.examples} has split {LEAVE_ONE_OUT}")
    num_rows = facts["num_rows"]
    assert isinstance(num_rows, dict)
    return int(num_rows["train" if config.encoder == "text" else "train_customers"])


def num_frozen_layers(config: TrainConfig) -> int:
    """Layers whose output `activation_cache` keeps; ValueError where LoRA adapts all that there are."""
    from lifecycle.model import architecture

    return config.frozen_layers(architecture(config.decoder).num_hidden_layers)
