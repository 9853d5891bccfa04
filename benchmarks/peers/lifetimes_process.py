"""The package lifetimes as a process, in an environment of its own."""

import json
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path("runs/environments/lifetimes")
PACKAGES = ("lifetimes==0.11.3", "numpy<2", "pandas<2.2", "scipy<1.12")
SCRIPT = Path(__file__).parent / "lifetimes_peer.py"


def environment() -> Path:
    """The interpreter that has lifetimes; the first call makes it."""
    python = ENVIRONMENT.resolve() / "bin" / "python"
    if not (ENVIRONMENT / "complete").exists():
        print(f"making {ENVIRONMENT}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (ENVIRONMENT / "complete").touch()
    return python


def ask(python: Path, job: str, data: Path, output: Path) -> dict[str, dict[str, float]]:
    """What lifetimes_peer says of a job, `fit` or `summary`."""
    command = [str(python), str(SCRIPT), job, str(data), str(output)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer: dict[str, dict[str, float]] = json.loads(printed.splitlines()[-1])
    return answer
