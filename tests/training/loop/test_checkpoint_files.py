"""Which checkpoints of a run are whole, and what is done with the others."""

import json
import logging
from pathlib import Path

import pytest

from training.loop.checkpoint_files import (
    RAY_FOLDER,
    SNAPSHOT,
    first_part,
    newest_checkpoint,
    tidy_checkpoints,
    trim_progress,
    verify_checkpoint,
    write_part,
)


def save(output: Path, second: int, num_parts: int = 1) -> Path:
    """A checkpoint as workers leave it: every one describes what it wrote."""
    folder = output / RAY_FOLDER / f"checkpoint_2026-11-22_10-00-{second:02d}.123456"
    folder.mkdir(parents=True)
    for rank in range(num_parts):
        alone = output / "alone"
        (alone / "state").mkdir(parents=True)
        (alone / "state" / f"shard-{rank}.bin").write_bytes(bytes([rank]) * 100)
        write_part(alone, rank, step=second, num_workers=2, num_parts=num_parts)
        for path in [
            path for path in alone.rglob("*") if path.is_file()
        ]:  # Ray Train puts the parts together
            target = folder / path.relative_to(alone)
            target.parent.mkdir(exist_ok=True)
            path.replace(target)
        (alone / "state").rmdir()
        alone.rmdir()
    return folder


def list_in_snapshot(output: Path, *folders: Path) -> Path:
    """Ray Train's list of checkpoints."""
    path = output / RAY_FOLDER / SNAPSHOT
    results = [{"checkpoint_dir_name": folder.name, "metrics": {}} for folder in folders]
    path.write_text(json.dumps({"checkpoint_results": results}))
    return path


def test_newest_whole_checkpoint_is_found(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for second in (9, 20, 40):
        save(tmp_path, second, num_parts=2)
    found = newest_checkpoint(tmp_path)
    assert found is not None and (first_part(found).step, first_part(found).num_workers) == (40, 2)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "part-1.json").unlink(), "1 of 2 parts are there"),
        (
            lambda folder: (folder / "part-0.json").write_text('{"step": 4'),
            "part-0.json is damaged",
        ),
        (
            lambda folder: (folder / "state" / "shard-1.bin").unlink(),
            "state/shard-1.bin is missing",
        ),
        (
            lambda folder: (folder / "state" / "shard-0.bin").write_bytes(bytes(50)),
            "state/shard-0.bin is not the file that was written",
        ),
    ],
)
def test_damaged_checkpoint_is_named_and_the_one_before_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object, message: str
) -> None:
    older, newest = save(tmp_path, 20, num_parts=2), save(tmp_path, 40, num_parts=2)
    assert callable(damage)
    damage(newest)
    with pytest.raises(ValueError, match=message):
        verify_checkpoint(newest)
    with caplog.at_level(logging.WARNING):
        assert newest_checkpoint(tmp_path) == older
    assert f"checkpoint {newest} is passed over: {message}" in caplog.text


def test_folder_without_any_part_is_no_checkpoint(tmp_path: Path) -> None:
    folder = save(tmp_path, 20)
    (folder / "part-0.json").unlink()
    with pytest.raises(ValueError, match="0 of its parts are there"):
        verify_checkpoint(folder)


def test_unfinished_checkpoints_go_but_those_that_ray_lists_stay(tmp_path: Path) -> None:
    listed, whole, unfinished = (save(tmp_path, second) for second in (20, 40, 60))
    for folder in (listed, unfinished):
        (folder / "state" / "shard-0.bin").write_bytes(b"half")
    snapshot = list_in_snapshot(tmp_path, listed)
    tidy_checkpoints(tmp_path)
    assert listed.is_dir() and whole.is_dir() and not unfinished.exists()
    assert snapshot.exists()


@pytest.mark.parametrize(
    "content", ["", '{"checkpoint_results": [{"checkpoint_dir_name": "che', "[]"]
)
def test_half_written_list_is_put_aside_and_the_checkpoints_stay(
    tmp_path: Path, content: str
) -> None:
    folder = save(tmp_path, 20)
    snapshot = tmp_path / RAY_FOLDER / SNAPSHOT
    snapshot.write_text(content)
    tidy_checkpoints(tmp_path)
    assert not snapshot.exists() and snapshot.with_suffix(".damaged").read_text() == content
    assert newest_checkpoint(tmp_path) == folder


def test_list_that_names_a_deleted_checkpoint_is_put_aside(tmp_path: Path) -> None:
    gone = save(tmp_path, 20)
    snapshot = list_in_snapshot(tmp_path, gone)
    gone.rename(tmp_path / "elsewhere")
    tidy_checkpoints(tmp_path)
    assert not snapshot.exists()


def test_nothing_to_tidy_before_the_first_start(tmp_path: Path) -> None:
    tidy_checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_progress_of_steps_that_are_taken_again_and_a_half_line_go(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in (10, 20, 30, 40)]
    path.write_text("\n".join(lines) + '\n{"step": 5')
    trim_progress(path, 30)
    assert path.read_text() == "\n".join(lines[:3]) + "\n"
    trim_progress(tmp_path / "missing.jsonl", 30)
