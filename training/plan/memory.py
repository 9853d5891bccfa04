"""Memory of a training worker under each ZeRO stage, at the moments at which it may be largest.

Weights, gradients and optimiser state follow the ZeRO paper (Rajbhandari 2020, arXiv 1910.02054,
section 3 and figure 1): with p bytes per weight, k of optimiser state per trained weight (12 in
mixed precision) and N workers, weights are p x total, gradients p x trained, optimiser k x trained.
Stage 1 divides the optimiser's part by N, stage 2 also the gradients, stage 3 also the weights.
Frozen weights have neither gradients nor optimiser state. What comes on top while a step is taken
is read from DeepSpeed 0.19's sources, and checked against measured peaks on CPU.
"""

from dataclasses import dataclass

from training.plan.worker import ModelSizes, Worker
from training.recipe import SharedRecipe

GIB = 2**30
GPU_GIB = (16, 24, 40, 48, 80, 141)
USABLE_SHARE = 0.9  # of a GPU's memory; the rest goes to the CUDA context, kernels' workspace and fragmentation
STAGES = (0, 1, 2, 3)


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


def stage_memory(
    config: SharedRecipe, sizes: ModelSizes, stage: int, num_workers: int
) -> StageMemory:
    """Memory of one of `num_workers` workers; what else the recipe says stays as it is, but for the stage."""
    worker = Worker(config, sizes, stage, num_workers)
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
