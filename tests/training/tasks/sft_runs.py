"""Conversations that a tiny model is taught, and the recipes that teach them."""

from pathlib import Path

from tests.builders import turns
from training.tasks.recipes.union import TrainConfig, parse_recipe

TAUGHT = {
    "I love it": "positive",
    "It broke at once": "negative",
    "May I send it back?": "Within 30 days.",
}


UNLIKE = [
    turns("short", "x"),
    turns("a somewhat longer question", "an answer of many more tokens than the others have"),
    turns("two", "turns", "of", "the assistant"),
    turns("long question, short answer; " * 3, "no"),
]


ALL_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def recipe(base_model: Path, conversations: Path, output: Path, **changes: object) -> TrainConfig:
    """Teaches the tiny model; what it is validated on is what it is taught."""
    tree = {
        "task": "sft",
        "adapter": "sentiment",
        "conversations": conversations,
        "base_model": str(base_model),
        "validation_conversations": conversations,
        "lora": {"rank": 16, "alpha": 32, "targets": ALL_LAYERS},
        "optimizer": {"learning_rate": 3e-3},
        "dtype": "fp32",
        "attention": "eager",
        "global_batch": 3,
        "micro_batch": 3,
        "epochs": 300,
        "checkpoint_every_steps": 100,
        "num_workers": 0,
        "tracking": None,
        "output": output,
    }
    return parse_recipe(tree | changes)
