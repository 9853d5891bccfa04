"""Checkpoint folders: which of them are whole, which is the newest, and what a killed run left of the others.

Every worker that writes into a checkpoint describes its files in `part-<rank>.json`, by which a
folder that was not written to its end, or was damaged later, is told from a whole one.
"""

import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from lifecycle.folders import file_sha256, whole_file, write_json

logger = logging.getLogger(__name__)
RAY_FOLDER = "ray"  # Ray Train's own, below the output folder of a run
SNAPSHOT = "checkpoint_manager_snapshot.json"  # Ray Train's list of the checkpoints it keeps


@dataclass(frozen=True)
class CheckpointPart:
    """What one worker wrote; equal in all parts of a checkpoint but for `files`."""

    step: int  # optimiser steps done
    num_workers: int  # of the run that saved it
    num_parts: int
    files: dict[str, str]  # SHA-256 by name


def write_part(folder: Path, rank: int, *, step: int, num_workers: int, num_parts: int) -> None:
    """Describe the files of this worker, which are all that lie in its `folder` so far."""
    files = {
        str(path.relative_to(folder)): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    write_json(
        folder / f"part-{rank}.json", asdict(CheckpointPart(step, num_workers, num_parts, files))
    )


def first_part(folder: Path) -> CheckpointPart:
    """The part of rank 0."""
    return _read(folder / "part-0.json")


def verify_checkpoint(folder: Path) -> None:
    """ValueError saying what is wrong with a checkpoint that is not whole, or is damaged."""
    parts = [_read(path) for path in sorted(folder.glob("part-*.json"))]
    if not parts or len(parts) != parts[0].num_parts:
        raise ValueError(
            f"{len(parts)} of {parts[0].num_parts if parts else 'its'} parts are there"
        )
    for part in parts:
        for name, sha256 in part.files.items():
            if not (folder / name).is_file():
                raise ValueError(f"{name} is missing")
            if file_sha256(folder / name) != sha256:
                raise ValueError(f"{name} is not the file that was written")


def _read(path: Path) -> CheckpointPart:
    try:
        return CheckpointPart(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise ValueError(f"{path.name} is damaged") from None


def newest_checkpoint(output: Path) -> Path | None:
    """The newest whole checkpoint of a run; of damaged ones that are newer the log tells."""
    for folder in _checkpoints(output):
        try:
            verify_checkpoint(folder)
        except ValueError as error:
            logger.warning("checkpoint %s is passed over: %s", folder, error)
        else:
            return folder
    return None


def tidy_checkpoints(output: Path) -> None:
    """Before a run goes on: put aside what would keep Ray Train from starting, remove checkpoints cut short.

    Ray Train writes its list of checkpoints in place. A full disk or a kill at that moment leaves
    half a list, and a list may name folders that somebody has deleted; Ray would refuse both. Our
    own search does not need the list.
    """
    snapshot = output / RAY_FOLDER / SNAPSHOT
    if snapshot.exists() and not _is_sound(snapshot):
        logger.warning(
            "%s is damaged or names checkpoints that are gone; it is put aside", snapshot
        )
        snapshot.replace(snapshot.with_suffix(".damaged"))
    listed = snapshot.read_text() if snapshot.exists() else ""
    for folder in _checkpoints(output):
        if folder.name in listed:
            continue
        try:
            verify_checkpoint(folder)
        except ValueError as error:
            logger.warning("checkpoint %s was not finished and is removed: %s", folder, error)
            shutil.rmtree(folder)


def trim_progress(path: Path, step: int) -> None:
    """Remove the lines of steps after `step`, which will be taken again, and a last one that was cut short."""
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("}\n")]
        with whole_file(path) as temporary:
            temporary.write_text(
                "".join(line for line in whole if json.loads(line)["step"] <= step)
            )


def _checkpoints(output: Path) -> list[Path]:
    """Newest first: Ray Train names them by the time."""
    return sorted(
        (output / RAY_FOLDER).glob("checkpoint_*/"), key=lambda folder: folder.name, reverse=True
    )


def _is_sound(snapshot: Path) -> bool:
    try:
        content = json.loads(snapshot.read_text())
        names = [result["checkpoint_dir_name"] for result in content["checkpoint_results"]]
    except (ValueError, KeyError, TypeError):
        return False
    return all((snapshot.parent / name).is_dir() for name in names)
