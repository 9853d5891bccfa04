"""Which files a path of a recipe means: a file, a folder, a glob, or a file inside a Python package."""

import glob
import importlib.util
import os
from pathlib import Path

SUFFIXES = {
    "csv": (".csv", ".txt", ".tsv"),
    "parquet": (".parquet",),
    "json": (".json", ".jsonl", ".ndjson"),
}


def resolve_path(path: str) -> Path:
    """`package:NAME/FILE` inside an installed package (which is not imported), any other path as it is."""
    if not path.startswith("package:"):
        return Path(path)
    package, _, inside = path.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"path {path!r}: the Python package {package!r} is not installed")
    return Path(spec.submodule_search_locations[0]) / inside


def files_at(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The file at `path`, the files below a folder that end in one of `suffixes`, or those a glob finds; sorted.

    Of a folder, what programs keep for themselves is passed over: hidden files and folders, and what
    macOS adds to archives.
    """
    return [file for file in _named_at(path, suffixes) if file.is_file()]


def broken_links_at(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Links that would be among `files_at` if what they lead to existed."""
    return [file for file in _named_at(path, suffixes) if file.is_symlink() and not file.exists()]


def _named_at(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if path.is_dir():
        _check_readable(path)
        named = (file for file in path.rglob("*") if file.name.lower().endswith(suffixes))
        return sorted(file for file in named if not _is_hidden(file, path))
    if path.is_file() or path.is_symlink():
        return [path]
    return [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]


def _check_readable(folder: Path) -> None:
    """OSError naming a folder, here or below, that may not be read: what lies there would be left out in silence."""

    def refuse(error: OSError) -> None:
        raise error

    for _ in os.walk(folder, onerror=refuse):
        pass


def _is_hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in file.relative_to(folder).parts)
