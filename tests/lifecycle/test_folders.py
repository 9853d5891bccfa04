import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from lifecycle.folders import (
    FORMAT_VERSIONS,
    FileList,
    Manifest,
    file_sha256,
    is_complete,
    new_folder,
    read_manifest,
    verify,
    whole_file,
    write_json,
    write_manifest,
)

ONE = Manifest(identity="one")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "artifact"
    with new_folder(path) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "weights").write_bytes(b"weights")
        (temporary / "facts.json").write_text("{}")
        write_manifest(temporary, "artifact", ONE)
    return path


def test_complete_folder_verifies_and_lists_every_file(folder: Path) -> None:
    verify(folder, "artifact")
    assert read_manifest(folder, "artifact", FileList).files == {
        "facts.json": hashlib.sha256(b"{}").hexdigest(),
        "sub/weights": hashlib.sha256(b"weights").hexdigest(),
    }


def test_changed_file_is_refused_by_name(folder: Path) -> None:
    (folder / "sub" / "weights").write_bytes(b"Weights")
    with pytest.raises(ValueError, match="damaged: sub/weights is not the file"):
        verify(folder, "artifact")


def test_missing_file_is_refused_by_name(folder: Path) -> None:
    (folder / "facts.json").unlink()
    with pytest.raises(ValueError, match="facts.json is missing"):
        verify(folder, "artifact")


def test_unknown_file_is_refused_by_name(folder: Path) -> None:
    (folder / "extra.pkl").write_bytes(b"")
    with pytest.raises(ValueError, match="does not know: .*extra.pkl"):
        verify(folder, "artifact")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{half", "manifest.json is damaged"),
        ('"text"', "holds 'text', not 'artifact'"),
        ('{"kind": "member"}', "holds 'member', not 'artifact'"),
        ('{"kind": "artifact", "format_version": 99}', "format version 99"),
        (
            f'{{"kind": "artifact", "format_version": {FORMAT_VERSIONS["artifact"]}}}',
            "missing key 'files'",
        ),
    ],
)
def test_unusable_manifest_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        verify(folder, "artifact")


class Shelf(Manifest):
    colour: str
    num_books: int


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 3}, r"manifest.json is damaged: colour is 3"),
        ({"num_books": "many"}, r"manifest.json is damaged: num_books is 'many'"),
        ({"identity": None}, r"manifest.json is damaged: identity is None"),
    ],
)
def test_wrong_key_is_refused_with_the_names_of_file_and_key(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with new_folder(tmp_path / "shelf") as temporary:
        write_manifest(temporary, "shelf", Shelf(identity="one", colour="green", num_books=2))
    path = tmp_path / "shelf" / "manifest.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"unknown": "is tolerated"}))
    assert read_manifest(tmp_path / "shelf", "shelf", Shelf).num_books == 2
    path.write_text(json.dumps(told | change))
    with pytest.raises(ValueError, match=message):
        read_manifest(tmp_path / "shelf", "shelf", Shelf)


def test_folder_without_manifest_is_incomplete(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    with pytest.raises(ValueError, match="incomplete"):
        read_manifest(folder, "artifact", Manifest)
    with pytest.raises(ValueError, match="does not exist"):
        read_manifest(folder / "nowhere", "artifact", Manifest)


def test_failure_in_the_block_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "data") as temporary:
        (temporary / "half").write_text("")
        raise ZeroDivisionError
    assert not (tmp_path / "data").exists()


def test_nothing_that_exists_is_replaced(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="complete already"), new_folder(folder):
        pass
    verify(folder, "artifact")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "lines.csv").write_text("of the user")
    with (
        pytest.raises(ValueError, match="mine is not empty and has no manifest.json"),
        new_folder(mine),
    ):
        pass
    with (
        pytest.raises(ValueError, match="lines.csv is a file, not a folder"),
        new_folder(mine / "lines.csv"),
    ):
        pass
    assert [path.read_text() for path in mine.iterdir()] == ["of the user"]


def test_second_run_of_one_output_ends_at_once_and_the_first_is_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    with new_folder(path) as first:
        (first / "rows").write_text("1")
        with (
            pytest.raises(ValueError, match="deep/data is being written by another run"),
            new_folder(path),
        ):
            pass
        with new_folder(first / "inner") as inner:
            write_manifest(inner, "data", ONE)
        write_manifest(first, "data", ONE)
    verify(path, "data")
    assert list(read_manifest(path, "data", FileList).files) == ["inner/manifest.json", "rows"]
    assert os.listdir(path.parent) == ["data"]


def test_lock_of_a_killed_run_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "data"
    lines = f"""
        import os, signal
        from pathlib import Path
        from lifecycle.folders import new_folder
        with new_folder(Path({str(path)!r})) as folder:
            (folder / "rest").write_text("")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(lines)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (tmp_path / "data.incomplete" / "rest").exists()
    with new_folder(path) as folder:
        write_manifest(folder, "data", ONE)
    assert os.listdir(tmp_path) == ["data"]
    assert read_manifest(path, "data", FileList).files == {}


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of more than a MiB can be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("is_parquet", [True, False])
def test_folder_for_which_there_is_no_room_is_named(tmp_path: Path, is_parquet: bool) -> None:
    frame = pl.DataFrame({"a": range(300_000)})
    with (
        pytest.raises(OSError, match="data cannot be written: .*File too large"),
        new_folder(tmp_path / "data") as folder,
    ):
        if is_parquet:
            frame.write_parquet(folder / "rows", compression="uncompressed")
        (folder / "rows").write_bytes(bytes(2 << 20))
    assert not os.listdir(tmp_path)


def test_empty_folder_and_what_a_killed_job_left_beside_it_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data.incomplete").mkdir()
    (tmp_path / "data.incomplete" / "rest").write_text("of a run that died")
    with new_folder(tmp_path / "data") as temporary:
        (temporary / "new").write_text("")
        write_manifest(temporary, "data", ONE)
    assert list(json.loads((tmp_path / "data" / "manifest.json").read_text())["files"]) == ["new"]


def test_is_complete_tells_same_inputs_from_others(folder: Path, tmp_path: Path) -> None:
    assert is_complete(folder, "artifact", "one")
    assert not is_complete(tmp_path / "nowhere", "artifact", "one")
    with pytest.raises(ValueError, match="from another config or other inputs; delete it"):
        is_complete(folder, "artifact", "two", {"seed": 1})


def test_folder_that_knows_what_it_was_made_from_names_the_keys_that_differ(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    manifest = Manifest(identity="one", made_from={"seed": 0, "content of data": "ab"})
    write_manifest(tmp_path / "data", "data", manifest)
    assert is_complete(tmp_path / "data", "data", "one", {"seed": 1})
    told = 'other inputs: seed was 0 and is 1, content of data was "ab" and is "cd"; delete it'
    with pytest.raises(ValueError, match=told):
        is_complete(tmp_path / "data", "data", "two", {"seed": 1, "content of data": "cd"})


def test_write_json_leaves_no_temporary_file_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    write_json(path, {"a": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["facts.json"]
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}


def test_file_sha256_of_known_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, example B.1
    assert (
        file_sha256(tmp_path / "abc")
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_file_whose_writing_fails_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise OSError("the disk is full")
    assert path.read_text() == "before"
    with whole_file(path) as unfinished:
        unfinished.write_text("after")
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]
