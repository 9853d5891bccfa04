"""Bytes of one training worker, all through training and at the moments at which its memory may be full."""

from dataclasses import dataclass
from functools import lru_cache

from training.recipe import SharedRecipe

MASTER_BYTES = 12  # of an optimised weight: float32 copy, momentum, variance
ADAM_BYTES = 8  # momentum and variance, where the weights themselves are float32
FLOAT32_BYTES = 4


@dataclass(frozen=True)
class ModelSizes:
    """Numbers of parameters, and bytes of activations that one worker keeps for its backward pass."""

    decoder_parameters: int  # of the sequence encoder with the embeddings of events
    adapter_parameters: int
    head_parameters: int
    trainable_parameters: int
    largest_trainable: int  # parameters of the largest trained tensor
    weight_bytes: int  # of one parameter
    activation_bytes: int

    @property
    def total_parameters(self) -> int:
        """Trained or not."""
        return self.decoder_parameters + self.adapter_parameters + self.head_parameters


@dataclass(frozen=True)
class Buffers:
    """DeepSpeed's own defaults, in weights."""

    bucket: int  # gradients that are reduced at once
    gathered: int  # stage 3: weights that are whole at a time
    prefetched: int  # stage 3: weights that are gathered at once
    sub_group: int  # stage 3: weights that are optimised at once


class Worker:
    """Bytes of one worker. Attributes are what it holds all through training; methods give a moment's whole."""

    def __init__(
        self, config: SharedRecipe, sizes: ModelSizes, stage: int, num_workers: int
    ) -> None:
        self.stage = stage
        self.num_workers = num_workers
        self.on_gpu = config.device == "gpu"
        self.sizes = sizes
        self.weight_bytes = sizes.weight_bytes
        self.trained = sizes.trainable_parameters
        self.accumulates = config.global_batch > config.micro_batch * num_workers
        self.is_sharded = stage == 3 and num_workers > 1
        self.limits = deepspeed_defaults(stage)
        # Weights that it optimises.
        self.share = self.trained / num_workers if stage >= 1 else self.trained
        # ZeRO copies float32 weights too.
        mixed = self.weight_bytes < FLOAT32_BYTES or stage >= 1
        whole = self.weight_bytes * sizes.total_parameters
        self.weights = whole / num_workers if stage == 3 else whole
        self.gradients = self.weight_bytes * (self.share if stage >= 2 else self.trained)
        self.optimizer = (MASTER_BYTES if mixed else ADAM_BYTES) * self.share
        self.host = 0.0
        self.offloads_optimizer = config.zero.offload_optimizer and stage >= 1 and self.on_gpu
        if self.offloads_optimizer:
            self._move_optimizer_to_host()
        if config.zero.offload_parameters and stage == 3 and self.on_gpu:
            self.host += self.weights
            self.weights = 0.0

    def _move_optimizer_to_host(self) -> None:
        """With float32 gradients and one more copy of the weights or gradients."""
        self.host = self.optimizer + (FLOAT32_BYTES + self.weight_bytes) * self.share
        self.optimizer = 0.0
        if self.stage >= 2:
            self.gradients = 0.0

    @property
    def bucket(self) -> float:
        """Gradients on their way to be reduced. A GPU's memory is taken when asked for, a CPU's when written to."""
        moves_gradients = self.stage == 1 and not self.on_gpu
        if self.stage == 0 or moves_gradients:
            return 0.0
        size = self.limits.bucket if self.on_gpu else min(self.limits.bucket, self.trained)
        return self.weight_bytes * size

    @property
    def held(self) -> float:
        """What stays between steps."""
        kept = self.gradients + self.bucket if self.stage == 3 else 0.0
        return self.weights + self.optimizer + kept

    @property
    def gathered(self) -> float:
        """Stage 3: weights made whole for a pass, and the buffer into which they are gathered."""
        if not self.is_sharded:
            return 0.0
        total = self.sizes.total_parameters
        whole = min(self.limits.gathered, total) + min(self.limits.prefetched, total)
        return self.weight_bytes * whole

    @property
    def waiting(self) -> float:
        """Gradients of the micro-batches before; those of stage 3 are held anyway."""
        return self.gradients if self.accumulates and self.stage < 3 else 0.0

    def at_start(self) -> float:
        """Stage 3 reads the whole weights before it shards them; other stages need more later."""
        whole = self.weight_bytes * self.sizes.total_parameters
        return whole * (1 + 1 / self.num_workers) if self.stage == 3 else whole

    def after_forward(self) -> float:
        """All activations are there; on a GPU also the bucket, which the first gradient asks for."""
        bucket = self.bucket if self.on_gpu and self.stage < 3 else 0.0
        return self.held + self.waiting + self.sizes.activation_bytes + self.gathered + bucket

    def at_first_reduction(self) -> float:
        """The bucket is full, or all gradients are there: they are copied once to be sent, and once into the share."""
        full = min(self.limits.bucket, self.trained)
        if self.stage == 0:
            sent = self.weight_bytes * full if self.num_workers > 1 else 0.0
            return self.held + self.gradients + sent
        copies = self.weight_bytes * max(full, self.share)
        if self.stage == 1:
            return self.held + self.weight_bytes * self.trained + self.bucket + copies
        left = 1 - full / self.trained  # of the layers, not passed yet
        activations = left * self.sizes.activation_bytes
        if self.stage == 2:
            return self.held + self.waiting + activations + self.bucket + copies
        # gloo reduces in a copy of its own.
        copies = self.weight_bytes * full * (1 if self.on_gpu else 2)
        return self.held + activations + left * self.gathered + copies

    def at_optimizer_step(self) -> float:
        """Gradients in float32 beside those as they came, and what Adam needs for its arithmetic."""
        gradients = 0.0 if self.stage == 3 else self.weight_bytes * self.share
        if self.offloads_optimizer:
            return self.held + gradients
        at_once = min(self.share, self.limits.sub_group) if self.stage == 3 else self.share
        return self.held + gradients + self._gradient_copies(at_once) + self._arithmetic(at_once)

    def _gradient_copies(self, at_once: float) -> float:
        if self.stage == 0:
            if self.weight_bytes == FLOAT32_BYTES:
                return 0.0
            # DeepSpeed's fused Adam wants them end to end.
            return FLOAT32_BYTES * at_once * (2 if self.on_gpu else 1)
        # End to end before float32.
        flat = self.weight_bytes if self.on_gpu and self.weight_bytes < FLOAT32_BYTES else 0
        return (FLOAT32_BYTES + flat) * at_once

    def _arithmetic(self, at_once: float) -> float:
        """torch's AdamW holds two float32 copies of the tensor that it updates; fused Adam none."""
        if self.on_gpu:
            return 0.0
        return 2 * FLOAT32_BYTES * (self.sizes.largest_trainable if self.stage == 0 else at_once)

    def at_end(self) -> float:
        """A member is written from whole weights: stage 3 gathers the trained ones, and they are copied to the CPU."""
        copies = (1 if self.is_sharded else 0) + (0 if self.on_gpu else 1)
        return self.held + copies * self.weight_bytes * self.trained


@lru_cache
def deepspeed_defaults(stage: int) -> Buffers:
    """Sizes of DeepSpeed's buffers under a stage, where a recipe does not say them."""
    from training.loop.deepspeed_op import set_deepspeed_environment

    set_deepspeed_environment("cpu")
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    defaults = DeepSpeedZeroConfig(stage=stage)
    return Buffers(
        bucket=int(defaults.reduce_bucket_size),
        gathered=int(defaults.max_live_parameters),
        prefetched=int(defaults.prefetch_bucket_size),
        sub_group=int(defaults.sub_group_size),
    )
