"""Job: what a training recipe needs - parameters, memory per GPU and ZeRO stage, tokens per step - without a GPU."""

import json
from dataclasses import asdict, dataclass

from lifecycle.jobs import run_job
from training.recipe import TrainConfig

GIB = 2**30
GPU_GIB = (24, 40, 80)
USABLE_SHARE = 0.9  # of a GPU's memory; the rest goes to the CUDA context, kernels' workspace and fragmentation
MASTER_BYTES = 12  # of an optimised weight: float32 copy, momentum, variance
ADAM_BYTES = 8  # momentum and variance, where the weights themselves are float32
STAGES = (0, 1, 2, 3)


@dataclass(frozen=True)
class StageMemory:
    """GiB per worker under one ZeRO stage; `host` is what is offloaded to the CPU, per worker."""

    stage: int
    weights: float
    gradients: float
    optimizer: float
    activations: float
    buffers: float
    peak: float
    host: float
    fits: int | None  # GiB of the smallest usual GPU that is large enough


def make_plan(config: TrainConfig) -> dict[str, object]:
    """The plan of a recipe; of its base model only config.json is read."""
    if config.task == "sft":
        raise ValueError("the plan knows task value alone: task is sft")
    from training.meta_model import measure_model

    sizes = measure_model(config)
    total = sizes.decoder_parameters + sizes.adapter_parameters + sizes.head_parameters
    trainable = sizes.trainable_parameters
    stages = [stage_memory(config, stage, total, trainable, sizes.activation_bytes) for stage in STAGES]
    return {
        "base_model": config.base_model,
        "total_parameters": total,
        **asdict(sizes),
        "num_workers": max(config.num_workers, 1),
        "device": config.device,
        "zero_stage": config.zero.stage,
        "examples_per_step": config.global_batch,
        "max_tokens_per_step": config.global_batch * config.max_tokens,
        "max_tokens_per_forward_pass": config.micro_batch * config.max_tokens,
        "stages": [asdict(stage) for stage in stages],
    }


def stage_memory(config: TrainConfig, stage: int, total: int, trainable: int, activation_bytes: int) -> StageMemory:
    """Memory of a worker after the ZeRO paper (Rajbhandari 2020, arXiv 1910.02054, section 3 and figure 1).

    With p bytes per weight, k of optimiser state per trained weight (12 in mixed precision), N workers: weights
    p x total, gradients p x trained, optimiser k x trained. Stage 1 divides the optimiser's part by N, stage 2 also
    the gradients, stage 3 also the weights. Frozen weights have neither gradients nor optimiser state.
    """
    num_workers = max(config.num_workers, 1)
    weight_bytes = 4 if config.dtype == "fp32" else 2
    state_bytes = ADAM_BYTES if config.dtype == "fp32" and stage == 0 else MASTER_BYTES  # ZeRO copies float32 too
    weights = weight_bytes * total / (num_workers if stage == 3 else 1)
    gradients = weight_bytes * trainable / (num_workers if stage >= 2 else 1)
    optimizer = state_bytes * trainable / (num_workers if stage >= 1 else 1)
    host = 0.0
    if config.zero.offload_optimizer and stage >= 1:
        host, optimizer = host + optimizer, 0.0
    if config.zero.offload_parameters and stage == 3:
        host, weights = host + weights, 0.0
    buffers = weight_bytes * _buffer_weights(stage, total, trainable)
    states = weights + gradients + optimizer
    # A member is written from whole weights: stage 3 gathers the trained ones on every worker at the end.
    gathered = weight_bytes * trainable if stage == 3 else 0
    peak = states + max(activation_bytes + buffers, gathered)
    fitting = [size for size in GPU_GIB if peak <= USABLE_SHARE * size * GIB]
    return StageMemory(
        stage=stage, weights=weights / GIB, gradients=gradients / GIB, optimizer=optimizer / GIB,
        activations=activation_bytes / GIB, buffers=buffers / GIB, peak=peak / GIB, host=host / GIB,
        fits=fitting[0] if fitting else None,
    )  # fmt: skip


def _buffer_weights(stage: int, total: int, trainable: int) -> int:
    """Weights in DeepSpeed's communication buffers, from its own defaults.

    Stages 1 and 2 collect gradients in a bucket; stage 3 has that bucket in full, and whole layers in flight.
    """
    from training.zero import set_environment

    set_environment("cpu")
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    defaults = DeepSpeedZeroConfig(stage=stage)
    bucket, in_flight = int(defaults.reduce_bucket_size), int(defaults.max_live_parameters)
    if stage == 3:
        return bucket + min(in_flight, total)
    return min(bucket, trainable) if stage else 0


def table(plan: dict[str, object]) -> str:
    """The plan as text for a terminal; the recipe's own stage is marked."""
    columns = ("weights", "gradients", "optimizer", "activations", "buffers", "peak", "host")
    lines = [
        f"{plan['base_model']}: {plan['total_parameters']:,} parameters, {plan['trainable_parameters']:,} trained",
        f"{plan['num_workers']} workers ({plan['device']}), {plan['examples_per_step']} examples and at most "
        f"{plan['max_tokens_per_step']:,} tokens per step",
        "GiB per worker  " + "".join(f"{name:>12}" for name in columns) + "        fits",
    ]
    stages = plan["stages"]
    assert isinstance(stages, list)
    for stage in stages:
        mark = "*" if stage["stage"] == plan["zero_stage"] else " "
        fits = f"{stage['fits']} GiB" if stage["fits"] else "none"
        numbers = "".join(f"{stage[name]:>12.2f}" for name in columns)
        lines.append(f"ZeRO stage {stage['stage']} {mark}  {numbers}{fits:>12}")
    return "\n".join(lines)


def show_plan(config: TrainConfig) -> None:
    """Print the plan as a table and, in the last line, as JSON."""
    plan = make_plan(config)
    print(table(plan))
    print(json.dumps(plan))


def main() -> None:
    """Entry point of `python -m training.plan`."""
    run_job(TrainConfig, "training.plan", show_plan)


if __name__ == "__main__":
    main()
