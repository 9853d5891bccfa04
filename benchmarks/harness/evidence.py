"""What every benchmark writes: one JSON object with its numbers and how they came about."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lifecycle.folders import file_sha256, package_versions, write_json

RESULTS = Path(__file__).parents[1] / "results"
Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | None


@dataclass(frozen=True)
class Machine:
    """What numbers were measured on."""

    processor: str
    cores: int | None
    memory_gib: float
    system: str


def write_evidence(
    name: str, numbers: Mapping[str, Json], *, seeds: Iterable[int], data: Iterable[Path]
) -> None:
    """Write `results/<name>.json` and print it as one line; call it last, from `python -m benchmarks.<name>`."""
    evidence = {
        **numbers,
        "commit": commit(),
        "command": command(),
        "seeds": list(seeds),
        "machine": asdict(machine()),
        "data_sha256": {file.name: file_sha256(file) for file in data},
        "versions": {"python": platform.python_version(), **package_versions()},
    }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", evidence)
    print(json.dumps(evidence, allow_nan=False), flush=True)


def command() -> str:
    """How the benchmark was called; of files and folders elsewhere the name alone."""
    given = [Path(one).name if Path(one).is_absolute() else one for one in sys.argv[1:]]
    return " ".join([f"python -m {_module_name()}", *given])


def commit() -> str:
    """The commit that is checked out, with `+changes` where the working tree differs from it."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "*.py", "*.yaml")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return "unknown: not a git checkout"
    return head + ("+changes" if changed else "")


def machine() -> Machine:
    """This one."""
    names = [
        line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        processor=names[0] if names else platform.machine(),
        cores=os.cpu_count(),
        memory_gib=round(memory, 1),
        system=platform.platform(),
    )


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def _git(*arguments: str) -> str:
    folder = Path(__file__).parents[2]  # below which patterns such as *.py look
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def _module_name() -> str:
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else Path(sys.argv[0]).name
