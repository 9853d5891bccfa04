"""Activations that several processes compute together: two workers, two runs at once, and one that is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file

from lifecycle.folders import fingerprint
from lifecycle.llama.decoder import load_tokenizer
from lifecycle.llama.member import read_member
from tests.builders import REPOSITORY, TinyShop
from training.tasks.recipes.union import parse_recipe

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
DEADLINE_SECONDS = 120


@pytest.fixture
def recipe(tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path) -> dict[str, object]:
    """Ten steps whose last layer alone is adapted."""
    return {
        "data": str(tiny_shop.data),
        "examples": str(tiny_shop.examples),
        "base_model": str(tiny_base_model),
        "max_tokens": 200,
        "dtype": "fp32",
        "lora": {"rank": 4, "alpha": 8, "num_layers": 1},
        "global_batch": 16,
        "micro_batch": 4,
        "max_steps": 10,
        "validation_rows": 20,
        "num_workers": 0,
        "output": str(tmp_path / "run"),
        "activation_cache": str(tmp_path / "cache"),
        "tracking": None,
    }


def start(recipe: dict[str, object], folder: Path) -> subprocess.Popen[str]:
    """`python -m training.run` as a user would start it, its output in `folder`."""
    folder.mkdir()
    (folder / "text.yaml").write_text(yaml.safe_dump(recipe | {"output": str(folder / "run")}))
    return subprocess.Popen(
        [sys.executable, "-m", "training.run", "--config", str(folder / "text.yaml")],
        cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """The output of a process that ends with status 0."""
    output, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0, output[-5000:]
    return output


def complete_shares(cache: Path) -> dict[Path, int]:
    """When each complete share was written."""
    return {
        path.parent: path.stat().st_mtime_ns
        for path in cache.glob("*/[0-9][0-9][0-9][0-9][0-9]/manifest.json")
    }


def wait_for_shares(process: subprocess.Popen[str], cache: Path, count: int) -> None:
    """Until so many shares are complete, while the process lives."""
    give_up_at = time.monotonic() + DEADLINE_SECONDS
    while len(complete_shares(cache)) < count:
        assert process.poll() is None and time.monotonic() < give_up_at
        time.sleep(0.002)


@pytest.mark.alone
@pytest.mark.parametrize("stage", [2, 3])
def test_two_workers_with_stored_activations_equal_one_process_without(
    recipe: dict[str, object], stage: int, tmp_path: Path
) -> None:
    plain = start(recipe | {"activation_cache": None}, tmp_path / "plain")
    two = start(recipe | {"num_workers": 2, "zero": {"stage": stage}}, tmp_path / "two")
    finish(plain)
    assert f"activations of 342 prompts after 1 layers are in {tmp_path / 'cache'}" in finish(two)
    assert len(complete_shares(tmp_path / "cache")) == 3
    members = [tmp_path / name / "run" / "member" for name in ("plain", "two")]
    expected, found = (read_member(member).metrics for member in members)
    assert found == pytest.approx(expected, rel=1e-3)
    weights, found_weights = (load_file(member / "adapter_model.safetensors") for member in members)
    assert found_weights.keys() == weights.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(found_weights[name], weight, rtol=1e-2, atol=1e-4)


def many_prompts(recipe: dict[str, object], folder: Path) -> dict[str, object]:
    """The recipe for so many training prompts that computing their activations takes some seconds."""
    examples = shutil.copytree(str(recipe["examples"]), folder / "many")
    train = pl.read_parquet(examples / "train.parquet")
    copies = [
        train.with_columns(pl.col("prompt").str.replace("Buys", f"Buys {n}")) for n in range(10)
    ]
    pl.concat(copies).write_parquet(examples / "train.parquet")
    return recipe | {"examples": str(examples)}


def test_killed_while_computing_goes_on_with_what_is_missing(
    recipe: dict[str, object], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    recipe = many_prompts(recipe, tmp_path)
    process = start(recipe, tmp_path / "killed")
    wait_for_shares(process, cache, 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = complete_shares(cache)
    assert 3 <= len(before) < 14  # of 3,420 prompts

    plain = start(recipe | {"activation_cache": None}, tmp_path / "plain")
    at_once = [start(recipe, tmp_path / name) for name in ("one", "two")]
    for process in (plain, *at_once):
        finish(process)
    after = complete_shares(cache)
    assert len(after) == 14 + 1  # and one of validation prompts
    assert {share: after[share] for share in before} == before
    assert not list(cache.glob("*/*.incomplete"))
    losses = {
        name: [
            json.loads(line)["loss"] for line in (tmp_path / name / "run" / "progress.jsonl").open()
        ][-1]
        for name in ("plain", "one", "two")
    }
    assert losses == pytest.approx(dict.fromkeys(losses, losses["plain"]), rel=1e-4)


HOLD_THE_LOCK = """
import fcntl, time
file = open({path!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(100)
"""


def test_share_of_a_process_that_dies_is_taken_over(
    recipe: dict[str, object], tmp_path: Path
) -> None:
    from training.tasks.activations import cache_key

    cache = tmp_path / "cache"
    config = parse_recipe(recipe)
    prompts = pl.read_parquet(config.examples / "train.parquet")["prompt"].to_list()
    tokens = load_tokenizer(str(config.base_model))(prompts)["input_ids"]
    key = cache_key(config.decoder, 1, tokens, torch.float32)
    folder = cache / fingerprint(asdict(key))[:16]
    (folder / "00001.incomplete").mkdir(parents=True)
    (folder / "00001.incomplete" / "states.safetensors").write_bytes(b"half")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK.format(path=str(folder / "00001.lock"))],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    process = start(recipe, tmp_path / "waits")
    wait_for_shares(process, cache, 1)
    time.sleep(1.5)
    assert process.poll() is None and not (folder / "00001").exists(), (
        "it must wait for who has the lock"
    )
    holder.kill()
    holder.communicate()
    finish(process)
    assert len(complete_shares(cache)) == 3 and not list(cache.glob("*/*.incomplete"))
