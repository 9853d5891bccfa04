"""What a plan says: the model, how long a run takes, the memory of a worker, how many GPUs."""

from dataclasses import asdict, dataclass

from lifecycle.config import Tree
from training.plan.memory import StageMemory
from training.plan.steps import StepTimes
from training.plan.worker import ModelSizes
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import PlannedRecipe


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

    config: PlannedRecipe
    sizes: ModelSizes
    length: Length
    stages: list[StageMemory]
    gpus: dict[int, list[int | None]]

    def as_json(self) -> Tree:
        """The numbers, with the keys of the recipe that matter."""
        config = self.config
        num_tokens = longest_input(self.config)
        return {
            "encoder": config.encoder,
            "base_model": config.base_model,
            "total_parameters": self.sizes.total_parameters,
            **asdict(self.sizes),
            "num_workers": config.num_processes,
            "device": config.device,
            "zero_stage": config.zero.stage,
            "examples_per_step": config.global_batch,
            "passes_per_step": config.accumulation(config.num_processes),
            "max_tokens_per_step": config.global_batch * num_tokens,
            "max_tokens_per_forward_pass": config.micro_batch * num_tokens,
            **asdict(self.length),
            "stages": [asdict(stage) for stage in self.stages],
            "smallest_number_of_gpus": self.gpus,
        }


def longest_input(config: PlannedRecipe) -> int:
    """Tokens of the longest prompt, or positions of the longest history."""
    if isinstance(config, TextRecipe | RerankRecipe):
        return config.max_tokens
    query = 0 if isinstance(config, NextItemRecipe) else 1
    return config.sequence.max_events + query
