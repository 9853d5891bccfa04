"""Folders that are complete or refused: every file listed with its SHA-256 in a manifest written last."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from lifecycle.config import Tree, describe
from lifecycle.differences import differences
from lifecycle.places import make_parent, sole_writer, tell_of_full_disk

MANIFEST = "manifest.json"
# 1 for the other kinds; raised when a kind's files change meaning.
FORMAT_VERSIONS = {"examples": 7, "artifact": 13}
PACKAGES = (
    "evervalue",
    "ray",
    "torch",
    "transformers",
    "peft",
    "deepspeed",
    "polars",
    "lightgbm",
    "numpy",
)


class Stored(BaseModel):
    """What a file says that one stage writes and another reads.

    Keys that its class does not name are ignored, unlike those of a recipe: they tell people where
    a folder comes from.
    """

    # A process that starts has dozens of such classes, and uses a few.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, defer_build=True)


class Erasure(Stored):
    """Up to which generation of a file of tombstones a folder is free of erased customers."""

    generation: int
    tombstones: Path  # absolute
    key: Path | None = None  # the file with the keys; None: the default one
    rows: dict[str, int] = {}  # that were deleted, by the hash of the customer


class Manifest(Stored):
    """What the manifest of every kind of folder says; kinds of which more is read have a class of their own."""

    identity: str
    made_from: Tree = {}  # what the identity stands for, key by key
    erasure: Erasure | None = None  # None: its recipe named no tombstones


class FileList(Stored):
    """The files of a complete folder with their SHA-256, by name."""

    files: dict[str, str]


S = TypeVar("S", bound=Stored)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: object) -> str:
    """Hex SHA-256 of a JSON-serialisable value; equal values give equal fingerprints."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


@cache
def package_versions() -> Mapping[str, str]:
    """Versions of the installed packages that decide what a folder's content means."""
    versions = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, whose place it takes after the with-block: no reader sees half a file.

    Raises OSError naming `path` where its disk is full, and leaves nothing behind.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        tell_of_full_disk(path, error)
        raise


def write_json(path: Path, value: object) -> None:
    """Write JSON that a reader sees whole or not at all."""
    text = json.dumps(value, indent=1, sort_keys=False, allow_nan=False, default=str)
    with whole_file(path) as temporary:
        temporary.write_text(text + "\n")


def read_stored(path: Path, content: type[S]) -> S:
    """The content of a JSON file; ValueError names the file, the key and the rule that it breaks."""
    return _checked(path, _read_json(path), content)


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except ValueError:
        raise ValueError(f"{path} is damaged: it is not JSON") from None


def _checked(path: Path, told: object, content: type[S]) -> S:
    try:
        return content.model_validate(told)
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: {describe(error)}") from None


def write_manifest(folder: Path, kind: str, content: Manifest) -> None:
    """Describe `folder` and every file in it. Call it last: a folder with a manifest is complete."""
    files = {str(path.relative_to(folder)): file_sha256(path) for path in _payload(folder)}
    manifest = {
        "format_version": FORMAT_VERSIONS.get(kind, 1),
        "kind": kind,
        **content.model_dump(mode="json", include=content.model_fields_set),
        "packages": package_versions(),
        "files": files,
    }
    write_json(folder / MANIFEST, manifest)


def read_manifest(folder: Path, kind: str, content: type[S]) -> S:
    """The manifest of a complete folder of the given kind; its files are not read.

    Raises ValueError where the folder is missing, incomplete, of another kind or of an unknown
    format, and where a key is missing or wrong.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ValueError(f"{kind} folder {folder} does not exist")
    if not path.is_file():
        raise ValueError(f"{kind} folder {folder} is incomplete: it has no {MANIFEST}")
    manifest = _read_json(path)
    if not isinstance(manifest, dict) or manifest.get("kind") != kind:
        found = manifest.get("kind") if isinstance(manifest, dict) else manifest
        raise ValueError(f"{folder} holds {found!r}, not {kind!r}")
    version = FORMAT_VERSIONS.get(kind, 1)
    if manifest.get("format_version") != version:
        found = manifest.get("format_version")
        raise ValueError(
            f"{path} has format version {found}; this is {version}: delete {folder} and make it again"
        )
    return _checked(path, manifest, content)


def verify(folder: Path, kind: str) -> None:
    """ValueError names the file of a folder that its manifest does not describe, or that is missing."""
    files = read_manifest(folder, kind, FileList).files
    for name, sha256 in files.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{kind} folder {folder} is damaged: {name} is missing")
        if file_sha256(path) != sha256:
            raise ValueError(
                f"{kind} folder {folder} is damaged: {name} is not the file the manifest describes"
            )
    unknown = {str(path.relative_to(folder)) for path in _payload(folder)} - set(files)
    if unknown:
        raise ValueError(
            f"{kind} folder {folder} holds files its manifest does not know: {sorted(unknown)}"
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, whose place it takes after the with-block, which writes its manifest last.

    Nothing that exists is replaced. What a link leads to is written, and the link stays. Raises
    ValueError where `folder` is complete already, or holds something else, or is no folder that can
    be replaced, or where another run writes it; OSError where it cannot be written or its disk is full.
    """
    folder = Path(os.path.realpath(folder)) if folder.is_symlink() else folder
    temporary = folder.with_name(folder.name + ".incomplete")
    make_parent(folder)
    with sole_writer(folder, temporary):
        _check_vacant(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            assert (temporary / MANIFEST).exists(), f"{folder} was left without a manifest"
        except BaseException as error:
            shutil.rmtree(temporary, ignore_errors=True)
            tell_of_full_disk(folder, error)
            raise
        os.replace(temporary, folder)  # an empty folder may be there


def _check_vacant(folder: Path) -> None:
    """ValueError where `folder` is more than an empty folder."""
    if (folder / MANIFEST).exists():
        raise ValueError(f"{folder} is complete already; delete it or choose another output")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(
            f"{folder} is not empty and has no {MANIFEST}; choose another output, or delete it yourself"
        )


def is_complete(folder: Path, kind: str, identity: str, made_from: Tree | None = None) -> bool:
    """Whether `folder` was already made from the same inputs; ValueError if it is complete but from others.

    With `made_from`, what the identity stands for, the message names the keys that differ.
    """
    if not (folder / MANIFEST).exists():
        return False
    manifest = read_manifest(folder, kind, Manifest)
    if manifest.identity != identity:
        told = ""
        if manifest.made_from and made_from is not None:
            told = ", ".join(differences(manifest.made_from, made_from))
        raise ValueError(
            f"{folder} is complete and was made from another config or other inputs{told and f': {told}'}; "
            "delete it or choose another output"
        )
    return True


def _payload(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST
    )
