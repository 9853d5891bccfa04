"""Job: what a training recipe needs and how long it takes, before anything starts and without a GPU."""

import json
import logging
from dataclasses import asdict, dataclass

from lifecycle.folders import MANIFEST
from lifecycle.jobs import run_job
from training.plan_memory import (
    STAGES,
    USABLE_SHARE,
    ModelSizes,
    StageMemory,
    num_processes,
    smallest_numbers,
    stage_memory,
)
from training.plan_step import LIBRARIES_GIB, StepTimes, measure_steps, num_validations, why_not_measured
from training.prepare import read_dataset
from training.recipe import TrainConfig, num_training_rows

logger = logging.getLogger(__name__)
COLUMNS = ("weights", "gradients", "optimizer", "activations", "peak")
MOMENTS = {
    "start": "while the weights are sharded",
    "forward": "at the end of a forward pass",
    "reduce": "while gradients are reduced",
    "step": "in the optimiser's step",
    "end": "while the member is written",
}


@dataclass(frozen=True)
class Length:
    """How many steps a run takes, and how long; what is not known is None, and why."""

    training_rows: int | None = None
    steps: int | None = None
    why_no_steps: str | None = None
    num_validations: int | None = None
    times: StepTimes | None = None
    why_no_times: str | None = None
    expected_seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is known of a recipe beforehand. `gpus`: GiB of a GPU to the smallest number that fits, by ZeRO stage."""

    config: TrainConfig
    sizes: ModelSizes
    length: Length
    stages: list[StageMemory]
    gpus: dict[int, list[int | None]]

    def as_json(self) -> dict[str, object]:
        """The numbers, with the keys of the recipe that matter."""
        config, num_tokens = self.config, _longest(self.config)
        return {
            "encoder": config.encoder,
            "base_model": config.base_model,
            "total_parameters": self.sizes.total_parameters,
            **asdict(self.sizes),
            "num_workers": num_processes(config),
            "device": config.device,
            "zero_stage": config.zero.stage,
            "examples_per_step": config.global_batch,
            "passes_per_step": config.accumulation(num_processes(config)),
            "max_tokens_per_step": config.global_batch * num_tokens,
            "max_tokens_per_forward_pass": config.micro_batch * num_tokens,
            **asdict(self.length),
            "stages": [asdict(stage) for stage in self.stages],
            "smallest_number_of_gpus": self.gpus,
        }


def _longest(config: TrainConfig) -> int:
    """Tokens of the longest prompt, or positions of the longest history."""
    return config.max_tokens if config.encoder == "text" else config.sequence.max_events + 1


def make_plan(config: TrainConfig) -> Plan:
    """The plan of a recipe; of its base model only config.json is read, unless steps can be taken here.

    Raises ValueError where base_model is not a folder with a config.json, where the sequence encoder's examples are not
    there, and for what a run would refuse.
    """
    if config.task == "sft":
        raise ValueError("the plan knows task value alone: task is sft")
    from training.meta_model import measure_model

    sizes = measure_model(config)
    stages = [stage_memory(config, sizes, stage, num_processes(config)) for stage in STAGES]
    on_gpu = config.model_copy(update={"device": "gpu"})
    gpus = smallest_numbers(on_gpu, measure_model(on_gpu))
    return Plan(config, sizes, run_length(config, stages[config.zero.stage].peak), stages, gpus)


def run_length(config: TrainConfig, peak_gib: float) -> Length:
    """Steps from the examples, and seconds from steps that are taken here; `peak_gib` is a worker's memory."""
    why_no_times = why_not_measured(config, peak_gib)
    if not (config.examples_folder / MANIFEST).is_file():
        return Length(why_no_steps=f"there are no examples in {config.examples_folder} yet", why_no_times=why_no_times)
    rows = num_training_rows(config)
    steps = config.num_steps(rows)
    validations = num_validations(config, steps)
    if why_no_times is not None:
        return Length(training_rows=rows, steps=steps, num_validations=validations, why_no_times=why_no_times)
    of_parts = read_dataset(config.examples_folder)["num_rows"]
    assert isinstance(of_parts, dict)
    logger.info("taking the recipe's first steps to see how long they take")
    times = measure_steps(config, min(config.validation_rows, int(of_parts["val"])))
    seconds = steps * times.seconds_per_step + validations * times.seconds_per_validation
    return Length(
        training_rows=rows, steps=steps, num_validations=validations, times=times,
        expected_seconds=times.seconds_to_start + seconds,
    )  # fmt: skip


def table(plan: Plan) -> str:
    """The plan as text for a terminal."""
    parts = [_model_lines(plan), _length_lines(plan), _memory_lines(plan), _gpu_lines(plan)]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _model_lines(plan: Plan) -> list[str]:
    config, sizes = plan.config, plan.sizes
    what = f"at most {_longest(config):,} {'tokens' if config.encoder == 'text' else 'positions'}"
    return [
        f"{config.base_model or 'sequence encoder'}: {sizes.total_parameters:,} parameters, "
        f"{sizes.trainable_parameters:,} of them trained",
        f"{num_processes(config)} workers ({config.device}), {config.global_batch} examples of {what} per step, "
        f"in {config.accumulation(num_processes(config))} passes of {config.micro_batch} per worker",
    ]


def _length_lines(plan: Plan) -> list[str]:
    length = plan.length
    if length.steps is None:
        return [f"steps: unknown, {length.why_no_steps}", f"duration: unknown, {length.why_no_times}"]
    steps = f"steps: {length.steps:,} from {length.training_rows:,} training rows, {length.num_validations} validations"
    times = length.times
    if times is None or length.expected_seconds is None:
        return [steps, f"duration: unknown, {length.why_no_times}"]
    shared = "" if times.measured_workers == num_processes(plan.config) else ", as if each had cores of its own"
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
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _memory_lines(plan: Plan) -> list[str]:
    names = (*COLUMNS, "host") if any(stage.host for stage in plan.stages) else COLUMNS
    own = plan.stages[plan.config.zero.stage]
    unit, factor = ("GiB", 1) if own.peak >= 1 else ("MiB", 1024)
    lines = [f"memory of a worker, {unit}" + "".join(f"{name:>12}" for name in names) + "  which is"]
    for stage in plan.stages:
        mark = "*" if stage is own else " "
        numbers = "".join(f"{getattr(stage, name) * factor:>12.2f}" for name in names)
        lines.append(f"  ZeRO stage {stage.stage} {mark}        {numbers}  {MOMENTS[stage.peak_at]}")
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
        lines.append(f"  {size:>4} GiB            " + "".join(f"{number or 'none':>9}" for number in numbers))
    return lines


def show_plan(config: TrainConfig) -> None:
    """Print the plan as a table and, in the last line, as JSON."""
    plan = make_plan(config)
    print(table(plan))
    print(json.dumps(plan.as_json()))


def main() -> None:
    """Entry point of `python -m training.plan`."""
    run_job(TrainConfig, "training.plan", show_plan)


if __name__ == "__main__":
    main()
