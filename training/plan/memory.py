"""Memory of a training worker under each ZeRO stage, at the moments at which it may be largest.

Weights, gradients and optimiser state follow the ZeRO paper (Rajbhandari 2020, arXiv 1910.02054,
section 3 and figure 1): with p bytes per weight, k of optimiser state per trained weight (12 in
mixed precision) and N workers, weights are p x total, gradients p x trained, optimiser k x trained.
Stage 1 divides the optimiser's part by N, stage 2 also the gradients, stage 3 also the weights.
Frozen weights have neither gradients nor optimiser state. What comes on top while a step is taken
is read from DeepSpeed 0.19's sources, and checked against measured peaks on CPU.
"""

from dataclasses import dataclass
from functools import lru_cache

from training.recipe import SharedRecipe

GIB = 2**30
GPU_GIB = (16, 24, 40, 48, 80, 141)
USABLE_SHARE = 0.9  # of a GPU's memory; the rest goes to the CUDA context, kernels' workspace and fragmentation
MASTER_BYTES = 12  # of an optimised weight: float32 copy, momentum, variance
ADAM_BYTES = 8  # momentum and variance, where the weights themselves are float32
FLOAT32_BYTES = 4
STAGES = (0, 1, 2, 3)


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
class StageMemory:
    """GiB per worker under one ZeRO stage.

    `moments` are the sums at the times at which memory may be full, and `peak` the largest of them;
    `host` is what is offloaded to the CPU, per worker.
    """

    stage: int
    weights: float
    gradients: float
    optimizer: float
    activations: float
    moments: dict[str, float]
    peak: float
    peak_at: str
    host: float


@dataclass(frozen=True)
class _Buffers:
    """DeepSpeed's own defaults, in weights."""

    bucket: int  # gradients that are reduced at once
    gathered: int  # stage 3: weights that are whole at a time
    prefetched: int  # stage 3: weights that are gathered at once
    sub_group: int  # stage 3: weights that are optimised at once


def num_processes(config: SharedRecipe) -> int:
    """Workers of a recipe; without any, the driver does their work."""
    return max(config.num_workers, 1)


def stage_memory(
    config: SharedRecipe, sizes: ModelSizes, stage: int, num_workers: int
) -> StageMemory:
    """Memory of one of `num_workers` workers; what else the recipe says stays as it is, but for the stage."""
    worker = _Worker(config, sizes, stage, num_workers)
    moments = {
        "start": worker.at_start(),
        "forward": worker.after_forward(),
        "reduce": worker.at_first_reduction(),
        "step": worker.at_optimizer_step(),
        "end": worker.at_end(),
    }
    return StageMemory(
        stage=stage,
        weights=worker.weights / GIB,
        gradients=worker.gradients / GIB,
        optimizer=worker.optimizer / GIB,
        activations=sizes.activation_bytes / GIB,
        moments={name: value / GIB for name, value in moments.items()},
        peak=max(moments.values()) / GIB,
        peak_at=max(moments, key=lambda name: moments[name]),
        host=worker.host / GIB,
    )


def smallest_numbers(config: SharedRecipe, sizes: ModelSizes) -> dict[int, list[int | None]]:
    """For each usual size of a GPU in GiB, the smallest number of workers that fits under each stage; None: no number.

    The global batch and the micro-batch stay, so that the number divides their ratio.
    """
    passes = config.global_batch // config.micro_batch
    numbers = [number for number in range(1, passes + 1) if passes % number == 0]
    peaks = [
        [stage_memory(config, sizes, stage, number).peak for number in numbers] for stage in STAGES
    ]
    return {
        size: [_first_below(USABLE_SHARE * size, numbers, of_stage) for of_stage in peaks]
        for size in GPU_GIB
    }


def _first_below(limit: float, numbers: list[int], peaks: list[float]) -> int | None:
    return next(
        (number for number, peak in zip(numbers, peaks, strict=True) if peak <= limit), None
    )


class _Worker:
    """Bytes of one worker. Attributes are what it holds all through training; methods give a moment's whole."""

    def __init__(
        self, config: SharedRecipe, sizes: ModelSizes, stage: int, num_workers: int
    ) -> None:
        self.stage, self.num_workers, self.on_gpu = stage, num_workers, config.device == "gpu"
        self.sizes, self.weight_bytes, self.trained = (
            sizes,
            sizes.weight_bytes,
            sizes.trainable_parameters,
        )
        self.accumulates = config.global_batch > config.micro_batch * num_workers
        self.is_sharded = stage == 3 and num_workers > 1
        self.limits = _deepspeed_defaults(stage)
        self.share = (
            self.trained / num_workers if stage >= 1 else self.trained
        )  # weights that it optimises
        mixed = self.weight_bytes < FLOAT32_BYTES or stage >= 1  # ZeRO copies float32 weights too
        self.weights = (
            self.weight_bytes * sizes.total_parameters / (num_workers if stage == 3 else 1)
        )
        self.gradients = self.weight_bytes * (self.share if stage >= 2 else self.trained)
        self.optimizer = (MASTER_BYTES if mixed else ADAM_BYTES) * self.share
        self.host = 0.0
        self.offloads_optimizer = config.zero.offload_optimizer and stage >= 1 and self.on_gpu
        if (
            self.offloads_optimizer
        ):  # with float32 gradients and one more copy of the weights or gradients
            self.host = self.optimizer + (FLOAT32_BYTES + self.weight_bytes) * self.share
            self.optimizer = 0.0
            self.gradients = 0.0 if stage >= 2 else self.gradients
        if config.zero.offload_parameters and stage == 3 and self.on_gpu:
            self.host, self.weights = self.host + self.weights, 0.0

    @property
    def bucket(self) -> float:
        """Gradients on their way to be reduced. A GPU's memory is taken when asked for, a CPU's when written to."""
        if self.stage == 0 or (
            self.stage == 1 and not self.on_gpu
        ):  # stage 1: the gradients themselves move there
            return 0.0
        return self.weight_bytes * (
            self.limits.bucket if self.on_gpu else min(self.limits.bucket, self.trained)
        )

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
        return self.weight_bytes * (
            min(self.limits.gathered, total) + min(self.limits.prefetched, total)
        )

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
            return (
                self.held
                + self.gradients
                + (self.weight_bytes * full if self.num_workers > 1 else 0.0)
            )
        copies = self.weight_bytes * max(full, self.share)
        if self.stage == 1:
            return self.held + self.weight_bytes * self.trained + self.bucket + copies
        left = 1 - full / self.trained  # of the layers, not passed yet
        activations = left * self.sizes.activation_bytes
        if self.stage == 2:
            return self.held + self.waiting + activations + self.bucket + copies
        copies = (
            self.weight_bytes * full * (1 if self.on_gpu else 2)
        )  # gloo reduces in a copy of its own
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
            return (
                FLOAT32_BYTES * at_once * (2 if self.on_gpu else 1)
            )  # DeepSpeed's fused Adam wants them end to end
        flat = (
            self.weight_bytes if self.on_gpu and self.weight_bytes < FLOAT32_BYTES else 0
        )  # end to end before float32
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
def _deepspeed_defaults(stage: int) -> _Buffers:
    from training.loop.deepspeed_op import set_deepspeed_environment

    set_deepspeed_environment("cpu")
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    defaults = DeepSpeedZeroConfig(stage=stage)
    return _Buffers(
        bucket=int(defaults.reduce_bucket_size),
        gathered=int(defaults.max_live_parameters),
        prefetched=int(defaults.prefetch_bucket_size),
        sub_group=int(defaults.sub_group_size),
    )
