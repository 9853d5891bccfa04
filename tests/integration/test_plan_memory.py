"""The plan's peak memory of a worker beside what real training in fresh processes takes on a CPU."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.builders import REPOSITORY, TinyShop
from training.loop.deepspeed_op import build_cpu_op
from training.plan.memory import GIB, stage_memory
from training.plan.meta_model import measure_model
from training.tasks.recipes.union import parse_recipe

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
LONGEST_PROMPT = (
    70  # tokens of the tiny shop's prompts, so that the passes are as long as the plan takes them
)
# Freed memory goes back to the system at once, and compiled kernels are not kept: both are the libraries' own.
FAIR = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8",
}
LORA = {"rank": 16, "targets": ["q_proj", "v_proj", "up_proj", "down_proj"]}
SEQUENCE = {"hidden_size": 512, "num_layers": 12, "num_heads": 8, "max_events": 12}
RECIPES: dict[str, dict[str, object]] = {
    "lora, stage 2": {
        "lora": LORA,
        "zero": {"stage": 2},
        "dtype": "bf16",
        "micro_batch": 32,
        "global_batch": 64,
    },
    "lora, fused attention": {
        "lora": LORA,
        "zero": {"stage": 0},
        "attention": "sdpa",
        "micro_batch": 16,
    },
    "all weights, stage 0": {"zero": {"stage": 0}, "dtype": "bf16"},
    "all weights, stage 2": {"zero": {"stage": 2}},
    "all weights, stage 2, two workers": {"zero": {"stage": 2}, "dtype": "bf16", "num_workers": 2},
    "all weights, stage 3, checkpointing, two workers": {
        "zero": {"stage": 3},
        "gradient_checkpointing": True,
        "micro_batch": 16,
        "num_workers": 2,
    },
    "sequence, stage 1": {
        "encoder": "sequence",
        "zero": {"stage": 1},
        "micro_batch": 64,
        "global_batch": 64,
    },
}


@pytest.fixture(scope="module")
def base_model(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random LLaMA of 45 million parameters in bf16, as checkpoints are, with the tiny one's tokenizer."""
    folder = tmp_path_factory.mktemp("base") / "llama"
    shutil.copytree(tiny_base_model, folder)
    config = LlamaConfig.from_pretrained(
        folder,
        vocab_size=8000,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=14,
        num_attention_heads=8,
        num_key_value_heads=4,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", RECIPES)
def test_peak_memory_is_within_a_fifth_of_the_plan(
    name: str, tiny_shop: TinyShop, base_model: Path, tiny_base_model: Path, tmp_path: Path
) -> None:
    changes = RECIPES[name]
    fields = {
        "data": str(tiny_shop.data),
        "examples": str(tiny_shop.examples),
        "base_model": str(base_model),
        "lora": None,
        "max_tokens": LONGEST_PROMPT,
        "attention": "eager",
        "dtype": "fp32",
        "sequence": SEQUENCE,
        "micro_batch": 4,
        "num_workers": 1,
        "validation_rows": 8,
        "output": str(tmp_path / "run"),
    }
    fields |= changes
    at_once = int(str(fields["micro_batch"])) * int(str(fields["num_workers"]))
    fields |= {"max_steps": 3, "global_batch": changes.get("global_batch", 2 * at_once)}
    tiny = {
        "base_model": str(tiny_base_model),
        "sequence": SEQUENCE | {"hidden_size": 64, "num_layers": 2},
    }
    config = parse_recipe(fields)
    planned = (
        stage_memory(config, measure_model(config), config.zero.stage, config.num_processes).peak
        * GIB
    )
    added = train_in_processes(
        fields, fields | tiny | {"output": str(tmp_path / "tiny")}, tmp_path / "meeting"
    )
    print(f"{name}: planned {planned / 2**20:.0f} MiB, measured {added / 2**20:.0f} MiB")
    assert planned == pytest.approx(added, rel=0.2)


def train_in_processes(recipe: dict[str, object], tiny: dict[str, object], meeting: Path) -> int:
    """Bytes that training took of the first worker's process at its peak, beyond what a tiny model takes."""
    build_cpu_op()
    num_workers = int(str(recipe["num_workers"]))
    words = [
        sys.executable,
        "-m",
        "tests.integration.measured_training",
        json.dumps(recipe),
        json.dumps(tiny),
    ]
    workers = [
        subprocess.Popen(
            [*words, str(rank), str(num_workers), str(meeting)],
            cwd=REPOSITORY,
            env=os.environ | FAIR,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(num_workers)
    ]
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert all(worker.returncode == 0 for worker in workers), ended[0][1][-5000:]
    return int(json.loads(ended[0][0].splitlines()[-1])["added"])
