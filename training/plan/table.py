"""The plan as text for a terminal."""

from training.plan.contents import Plan, longest_input
from training.plan.memory import (
    STAGES,
    USABLE_SHARE,
)
from training.plan.steps import LIBRARIES_GIB

COLUMNS = ("weights", "gradients", "optimizer", "activations", "peak")
MOMENTS = {
    "start": "while the weights are sharded",
    "forward": "at the end of a forward pass",
    "reduce": "while gradients are reduced",
    "step": "in the optimiser's step",
    "end": "while the member is written",
}


def table(plan: Plan) -> str:
    """The plan as text for a terminal."""
    parts = [_model_lines(plan), _length_lines(plan), _memory_lines(plan), _gpu_lines(plan)]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _model_lines(plan: Plan) -> list[str]:
    config = plan.config
    sizes = plan.sizes
    what = (
        f"at most {longest_input(config):,} {'tokens' if config.encoder == 'text' else 'positions'}"
    )
    return [
        f"{config.base_model or 'sequence encoder'}: {sizes.total_parameters:,} parameters, "
        f"{sizes.trainable_parameters:,} of them trained",
        f"{config.num_processes} workers ({config.device}), {config.global_batch} examples of {what} per step, "
        f"in {config.accumulation(config.num_processes)} passes of {config.micro_batch} per worker",
    ]


def _length_lines(plan: Plan) -> list[str]:
    length = plan.length
    if length.steps is None:
        return [
            f"steps: unknown, {length.why_no_steps}",
            f"duration: unknown, {length.why_no_times}",
        ]
    steps = f"steps: {length.steps:,} from {length.training_rows:,} training rows, {length.num_validations} validations"
    times = length.times
    if times is None or length.expected_seconds is None:
        return [steps, f"duration: unknown, {length.why_no_times}"]
    shared = (
        ""
        if times.measured_workers == plan.config.num_processes
        else ", as if each had cores of its own"
    )
    return [
        steps,
        f"duration: about {_duration(length.expected_seconds)} = {times.seconds_to_start:.0f} s to start "
        f"+ {length.steps:,} steps of {times.seconds_per_step:.3g} s "
        f"+ {length.num_validations} validations of {times.seconds_per_validation:.3g} s",
        f"  measured here on {times.measured_steps} steps of {times.measured_workers} workers{shared}; "
        "starting Ray (about 20 s) and writing checkpoints come on top",
        f"  a worker took {times.worker_gib:.2f} GiB at its peak, Python, its libraries and the examples included",
    ]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def _memory_lines(plan: Plan) -> list[str]:
    names = (*COLUMNS, "host") if any(stage.host for stage in plan.stages) else COLUMNS
    own = plan.stages[plan.config.zero.stage]
    unit, factor = ("GiB", 1) if own.peak >= 1 else ("MiB", 1024)
    lines = [
        f"memory of a worker, {unit}" + "".join(f"{name:>12}" for name in names) + "  which is"
    ]
    for stage in plan.stages:
        mark = "*" if stage is own else " "
        numbers = "".join(f"{getattr(stage, name) * factor:>12.2f}" for name in names)
        lines.append(
            f"  ZeRO stage {stage.stage} {mark}        {numbers}  {MOMENTS[stage.peak_at]}"
        )
    rest = f"Python and its libraries, about {LIBRARIES_GIB} GiB a worker"
    if plan.config.device == "gpu":
        rest = f"CUDA and its kernels' workspace, for which {1 - USABLE_SHARE:.0%} of a GPU stays free below"
    return [
        *lines,
        "  * the recipe's stage. Peak: weights, gradients, optimiser state, activations of the longest inputs and",
        "  DeepSpeed's copies of them, at the moment that needs most.",
        f"  Not in it: {rest}.",
    ]


def _gpu_lines(plan: Plan) -> list[str]:
    config = plan.config
    lines = [
        f"smallest number of GPUs that fits, {config.global_batch} examples per step in passes of {config.micro_batch}",
        "                      " + "".join(f"{f'ZeRO {stage}':>9}" for stage in STAGES),
    ]
    for size, numbers in plan.gpus.items():
        lines.append(
            f"  {size:>4} GiB            " + "".join(f"{number or 'none':>9}" for number in numbers)
        )
    return lines
