"""`training.plan` on the command line: it takes real steps, and foretells how long the run then takes."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.builders import REPOSITORY, TinyShop

pytestmark = [pytest.mark.integration, pytest.mark.alone]


@pytest.fixture
def recipe(tiny_shop: TinyShop, tiny_base_model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "text.yaml"
    fields = {
        "data": str(tiny_shop.data),
        "examples": str(tiny_shop.examples),
        "base_model": str(tiny_base_model),
        "lora": {"rank": 4},
        "max_tokens": 80,
        "dtype": "fp32",
        "attention": "eager",
        "global_batch": 16,
        "micro_batch": 8,
        "epochs": 12,
        "validation_rows": 32,
        "checkpoint_every_steps": 100,
        "num_workers": 0,
        "tracking": None,
        "output": str(tmp_path / "run"),
    }
    path.write_text(yaml.safe_dump(fields))
    return path


def run(job: str, recipe: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    """`python -m training.<job>` as a user would start it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", f"training.{job}", "--config", str(recipe), *overrides]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=200
    )


@pytest.mark.thorough
def test_duration_is_foretold_within_a_factor_of_two(recipe: Path, tmp_path: Path) -> None:
    done = run("plan", recipe)
    assert done.returncode == 0, done.stderr[-3000:]
    *lines, last = done.stdout.splitlines()
    plan = json.loads(last)
    assert plan["steps"] == 12 * 342 // 16
    assert plan["times"]["measured_steps"] > 10 and plan["times"]["measured_workers"] == 1
    assert any(re.match(r"duration: about \d+ ", line) for line in lines)
    assert not (tmp_path / "run").exists()  # the run's own folder is left for the run
    started_at = time.monotonic()
    trained = run("run", recipe)
    assert trained.returncode == 0, trained.stderr[-3000:]
    took = time.monotonic() - started_at
    assert took / 2 < plan["expected_seconds"] < took * 2


@pytest.mark.thorough
def test_two_workers_are_measured_together(recipe: Path) -> None:
    done = run("plan", recipe, "num_workers=2", "encoder=sequence", "zero.stage=3")
    assert done.returncode == 0, done.stderr[-3000:]
    times = json.loads(done.stdout.splitlines()[-1])["times"]
    assert times["measured_workers"] == (2 if (os.cpu_count() or 1) >= 2 else 1)
    assert times["seconds_per_step"] > 0 and times["worker_gib"] > 0.3


def test_mistake_that_the_first_step_meets_ends_in_one_line(recipe: Path) -> None:
    done = run("plan", recipe, "num_workers=2", "max_tokens=50")
    assert done.returncode == 1
    assert re.search(
        r"^training.plan: max_tokens is 50, but a prompt has \d+ tokens$", done.stderr, re.MULTILINE
    )
    assert "Traceback" not in done.stderr
