"""DeepSpeed's configuration, and the compiled op that no dead process may block."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders import value_recipe
from training.loop.deepspeed_op import OP_FOLDER, build_cpu_op, set_deepspeed_environment
from training.loop.zero import zero_config


def test_recipe_reaches_deepspeed() -> None:
    config = value_recipe(
        global_batch=48,
        micro_batch=8,
        zero={"stage": 2},
        optimizer={
            "learning_rate": "2e-4",
            "warmup_share": 0.1,
            "final_share": 0.2,
            "clip_norm": 0.5,
            "betas": [0.8, 0.9],
            "weight_decay": 0.3,
        },
    )
    found = zero_config(config, 200, 2, bf16=True)
    assert found["train_batch_size"] == 48
    assert found["train_micro_batch_size_per_gpu"] == 8
    assert found["gradient_accumulation_steps"] == 3
    assert found["gradient_clipping"] == 0.5
    assert found["bf16"] == {"enabled": True}
    assert found["zero_optimization"] == {"stage": 2}
    assert found["optimizer"] == {
        "type": "AdamW",
        "params": {"torch_adam": True, "lr": 0.0002, "betas": [0.8, 0.9], "weight_decay": 0.3},
    }
    assert found["scheduler"] == {
        "type": "WarmupCosineLR",
        "params": {
            "total_num_steps": 200,
            "warmup_num_steps": 20,
            "warmup_type": "linear",
            "cos_min_ratio": 0.2,
        },
    }


def test_offload_and_stage_3_reach_deepspeed() -> None:
    zero = {"stage": 3, "offload_optimizer": True, "offload_parameters": True}
    found = zero_config(value_recipe(zero=zero, device="gpu"), 10, 2, bf16=False)
    assert found["zero_optimization"] == {
        "stage": 3,
        "offload_optimizer": {"device": "cpu", "pin_memory": True},
        "offload_param": {"device": "cpu", "pin_memory": True},
        "stage3_gather_16bit_weights_on_model_save": True,
    }
    assert found["bf16"] == {"enabled": False}


def test_short_runs_still_warm_up() -> None:
    """DeepSpeed divides by the logarithm of the warm-up steps: one of them would be a division by zero."""
    scheduler = zero_config(value_recipe(), 3, 2, bf16=False)["scheduler"]
    assert isinstance(scheduler, dict) and scheduler["params"]["warmup_num_steps"] == 2


def test_environment_finds_ninja_and_the_built_op(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"PATH": "/usr/bin"})
    set_deepspeed_environment("cpu")
    set_deepspeed_environment("cpu")
    assert os.environ["DS_ACCELERATOR"] == "cpu"
    assert os.environ["TORCH_EXTENSIONS_DIR"] == str(Path(sys.prefix) / "torch_extensions")
    assert os.environ["PATH"] == f"{Path(sys.executable).parent}:/usr/bin"
    assert (Path(sys.executable).parent / "ninja").exists()


def run_python(code: str, extensions: Path) -> subprocess.Popen[str]:
    """A Python process whose compiled ops lie in `extensions`."""
    environment = os.environ | {"TORCH_EXTENSIONS_DIR": str(extensions), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.integration
def test_lock_of_a_killed_compiler_is_cleared(tmp_path: Path) -> None:
    """torch would wait for such a lock for ever. The op is copied, so that this does not compile it again."""
    built = Path(os.environ.get("TORCH_EXTENSIONS_DIR", Path(sys.prefix) / "torch_extensions"))
    assert (built / OP_FOLDER / f"{OP_FOLDER}.so").exists(), "run make setup first"
    shutil.copytree(built / OP_FOLDER, tmp_path / OP_FOLDER)
    (tmp_path / OP_FOLDER / "lock").touch()
    process = run_python(
        "from training.loop.deepspeed_op import build_cpu_op; build_cpu_op(); print('loaded')",
        tmp_path,
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and output.splitlines()[-1] == "loaded", output
    assert not (tmp_path / OP_FOLDER / "lock").exists()


HOLD_THE_LOCK = """
import fcntl, time
file = open({path!r}, "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_compiler_that_takes_too_long_ends_in_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    monkeypatch.setenv("DS_ACCELERATOR", "cpu")
    holder = run_python(
        HOLD_THE_LOCK.format(path=str(tmp_path / f"{OP_FOLDER}.evervalue-lock")), tmp_path
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        started_at = time.monotonic()
        with pytest.raises(
            ValueError, match=f"another process has been compiling DeepSpeed's op in {tmp_path}"
        ):
            build_cpu_op(deadline_seconds=0.5)
        assert 0.5 <= time.monotonic() - started_at < 5
    finally:
        holder.kill()
        holder.communicate()
