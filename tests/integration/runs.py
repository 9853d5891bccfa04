"""Training runs as a user starts them, and what they leave."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import torch
import yaml

from lifecycle.llama.decoder import load_tokenizer, pad_tokens
from lifecycle.llama.member import read_member
from lifecycle.llama.text_model import load_value_model
from tests.builders import REPOSITORY, TinyShop, decoder

LONG_STEPS = 140
CHECKPOINT_STEPS = 20


def write_recipe(path: Path, shop: TinyShop, base_model: Path) -> Path:
    """A training recipe of the tiny shop; every run gives its own output."""
    fields = {
        "data": str(shop.data),
        "examples": str(shop.examples),
        "base_model": str(base_model),
        "lora": {"rank": 4, "alpha": 8},
        "max_tokens": 320,
        "dtype": "fp32",
        "attention": "eager",
        "zero": {"stage": 2},
        "global_batch": 8,
        "micro_batch": 4,
        "epochs": 20,
        "max_steps": LONG_STEPS,
        "validation_rows": 16,
        "checkpoint_every_steps": CHECKPOINT_STEPS,
        "num_workers": 2,
        "export": "last",
        "tracking": None,
        "output": "given per run",
    }
    path.write_text(yaml.safe_dump(fields))
    return path


def start(
    recipe: Path, address: str | None, *overrides: str, module: str = "training.run"
) -> subprocess.Popen[str]:
    """`python -m MODULE` as a user would start it, on the cluster at `address`."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    environment |= (
        {"RAY_ADDRESS": address, "RAY_AUTH_MODE": os.environ.get("RAY_AUTH_MODE", "token")}
        if address
        else {}
    )
    return subprocess.Popen(
        [sys.executable, "-m", module, "--config", str(recipe), *overrides],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    """The output of a process that ends with the given status."""
    output, _ = process.communicate(timeout=200)
    assert process.returncode == status, output[-5000:]
    return output


def wait_for_step(output: Path, step: int) -> None:
    """Until progress.jsonl tells of `step` or a later one."""
    give_up_at = time.monotonic() + 150
    while last_step(output) < step:
        assert time.monotonic() < give_up_at, f"no step {step} in {output}"
        time.sleep(0.05)


def metrics_of(output: Path) -> dict[str, float]:
    """Final metrics of a finished run whose member verifies."""
    metrics = read_member(output / "member").metrics
    assert isinstance(metrics, dict)
    return metrics


def logits_of(output: Path, base_model: Path, prompts: list[str]) -> torch.Tensor:
    """What the member predicts."""
    model, _ = load_value_model(output / "member", decoder(base_model), torch.float32)
    tokenizer = load_tokenizer(base_model)
    with torch.inference_mode():
        return model(*pad_tokens(tokenizer(prompts)["input_ids"], tokenizer.pad_token_id))


def last_step(output: Path) -> int:
    """The step that progress.jsonl told of last; 0 before the first."""
    path = output / "progress.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return int(json.loads(lines[-1])["step"]) if lines else 0


def resumed_steps(log: str) -> list[tuple[int, int]]:
    """At which steps the run went on, each time with how many workers."""
    return [
        (int(step), int(workers))
        for step, workers in re.findall(r"resumed at step (\d+) with (\d+) worker", log)
    ]


def processes_of(name: str) -> list[psutil.Process]:
    """Processes with this name that the tests started and that have not ended."""
    return [
        child for child in psutil.Process().children(recursive=True) if name in command_of(child)
    ]


def command_of(process: psutil.Process) -> str:
    """The command line of a process; empty for one that has ended, also between two looks at it."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one, too
        return ""


def worker_processes() -> list[psutil.Process]:
    """Ray Train's workers on the cluster that the tests started."""
    return processes_of("RayTrainWorker")


def controller() -> psutil.Process:
    """The process that leads the only training run of that cluster."""
    [process] = processes_of("TrainController")
    return process


def wait_for_no_worker() -> None:
    """Until the cluster has ended the workers of a driver that died."""
    give_up_at = time.monotonic() + 60
    while worker_processes():
        assert time.monotonic() < give_up_at, "workers outlive their driver"
        time.sleep(0.1)
