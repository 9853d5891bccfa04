"""Which way imports point: directions, no circles, no import that runs back up, and which files may import torch."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.builders import REPOSITORY

PACKAGES = ("lifecycle", "training", "tuning", "serving", "benchmarks")
ALLOWED = {  # what each package may import of the others
    "lifecycle": (),
    "training": ("lifecycle",),
    "tuning": ("lifecycle", "training"),
    "serving": ("lifecycle",),
    "benchmarks": ("lifecycle", "training", "tuning", "serving"),
}
FLOORS = {  # each folder or file may import those on lower floors
    "lifecycle": (
        ("names", "paths", "places", "metrics", "strict_json", "yaml_files"),
        ("config",),
        ("differences", "jobs"),
        ("folders",),
        ("private_files",),
        ("erasure",),
        ("events",),
        ("features", "log", "recommend", "state"),
        ("btyd", "decisions"),
        ("spend", "value"),
        ("llama",),
        ("artifact",),
    ),
    "training": (
        ("recipe", "results", "distributed", "prepare"),
        ("tasks", "report", "score"),
        ("loop", "tracking", "ingest", "evaluate", "audience"),
        ("run", "plan", "setup", "pipeline", "erase"),
    ),
    "serving": (
        ("keys", "predict"),
        ("store",),
        ("api",),
        ("calls", "handles"),
        ("deployments",),
        ("app", "client"),
    ),
}
MAY_IMPORT_TORCH = (
    "lifecycle/llama/",
    "lifecycle/spend/ziln.py",
    "lifecycle/spend/dense_ziln.py",
    "training/tasks/",
    "training/loop/",
    "training/plan/meta_",
)
WITHOUT_TORCH = (
    "lifecycle/llama/member.py",
    "lifecycle/llama/lora.py",
    "lifecycle/llama/base_model/files.py",
    "training/tasks/base_model.py",
    "training/tasks/identity.py",
    "training/tasks/rows.py",
    "training/tasks/next_item/rows.py",
    "training/tasks/next_item/sampled_items.py",
    "training/tasks/rerank/titles.py",
    "training/tasks/conversations.py",
    "training/tasks/recipes/",
    "training/loop/zero.py",
    "training/loop/deepspeed_op.py",
)
TORCH = ("torch", "transformers", "peft", "deepspeed", "safetensors.torch")


@cache
def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, *, only_at_the_top: bool = False) -> Iterator[str]:
    """The dotted names that a file imports; lazily and for types too, unless only those at the top are asked for."""
    tree = ast.parse(path.read_text())
    for node in tree.body if only_at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules() else node.module


@cache
def arrows() -> dict[str, set[str]]:
    """Which of our modules each of them imports."""
    return {
        name: {other for other in imported(path) if other in modules() and other != name}
        for name, path in modules().items()
    }


def room_of(module: str) -> str:
    """The folder or file of its package that a module lies in."""
    return module.split(".")[1] if "." in module else ""


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Ways from a node back to itself."""
    found: list[str] = []
    done: set[str] = set()

    def visit(node: str, way: list[str]) -> None:
        if node in way:
            found.append(" -> ".join([*way[way.index(node) :], node]))
        elif node not in done:
            for other in sorted(graph.get(node, ())):
                visit(other, [*way, node])
            done.add(node)

    for node in sorted(graph):
        visit(node, [])
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    for module, others in arrows().items():
        if module.split(".")[0] == package:
            wrong = [
                other
                for other in sorted(others)
                if other.split(".")[0] not in (package, *ALLOWED[package])
            ]
            assert not wrong, f"{module} imports {wrong}"


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_only_rooms_below_them(package: str) -> None:
    floor_of = {room: floor for floor, rooms in enumerate(FLOORS[package]) for room in rooms}
    rooms = {room_of(module) for module in modules() if module.split(".")[0] == package} - {""}
    assert rooms == set(floor_of), "every folder and file has its floor, and there is no other"
    upward = [
        f"{module} imports {other}"
        for module, others in arrows().items()
        for other in sorted(others)
        if module.split(".")[0] == other.split(".")[0] == package
        and room_of(module)
        and room_of(other)
        if room_of(module) != room_of(other)
        and floor_of[room_of(other)] >= floor_of[room_of(module)]
    ]
    assert not upward, upward


def test_no_file_imports_one_that_imports_it() -> None:
    assert not circles(arrows())


def test_no_folder_imports_one_that_imports_it() -> None:
    rooms: dict[str, set[str]] = {}
    for module, others in arrows().items():
        room = ".".join(module.split(".")[:2])
        rooms.setdefault(room, set()).update(".".join(other.split(".")[:2]) for other in others)
    assert not circles({room: others - {room} for room, others in rooms.items()})


def test_only_rooms_that_need_torch_import_it_at_the_top() -> None:
    for path in modules().values():
        name = path.relative_to(REPOSITORY).as_posix()
        if name.startswith("benchmarks/"):
            continue
        heavy = [other for other in imported(path, only_at_the_top=True) if other.startswith(TORCH)]
        may = name.startswith(MAY_IMPORT_TORCH) and not name.startswith(WITHOUT_TORCH)
        assert may or not heavy, f"{name} imports {heavy}"


def test_lifecycle_knows_neither_ray_nor_http() -> None:
    for module, path in modules().items():
        if module.startswith("lifecycle"):
            wrong = [
                other
                for other in imported(path)
                if other.split(".")[0] in ("ray", "fastapi", "starlette")
            ]
            assert not wrong, f"{module} imports {wrong}"
