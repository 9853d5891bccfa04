"""Published LLaMA models as recipes: their config.json without their weights."""

import json
from pathlib import Path

from training.tasks.recipes.union import TrainConfig, parse_recipe

LLAMA32_1B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "max_position_embeddings": 131072,
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
}


LLAMA31_8B = LLAMA32_1B | {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "head_dim": 128,
    "tie_word_embeddings": False,
}


LLAMA32_1B_PARAMETERS = (
    1_235_814_400  # of the published checkpoint; its language-model head is the embedding
)


LLAMA31_8B_PARAMETERS = 8_030_261_248  # of the published checkpoint, language-model head included


def recipe(folder: Path, architecture: dict[str, object], **changes: object) -> TrainConfig:
    (folder / "config.json").write_text(json.dumps(architecture))
    tree = {
        "data": "d",
        "examples": "e",
        "output": "o",
        "base_model": str(folder),
        "lora": None,
        "dtype": "bf16",
    }
    return parse_recipe(tree | {"attention": "sdpa"} | changes)
