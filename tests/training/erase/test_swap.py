"""A new folder takes an old one's place: never half, never none, and what a killed run left is mended."""

from pathlib import Path

import pytest

from lifecycle.places import sole_writer
from training.erase.swap import exchange, exchange_by_rename, mend, replaced_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "old").write_text("old")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_new_folder_takes_the_place_and_nothing_else_is_left(folder: Path) -> None:
    with replaced_folder(folder) as new:
        (new / "new").write_text("new")
        assert names(folder) == ["old"]
    assert names(folder) == ["new"] and names(folder.parent) == ["data"]


def test_old_folder_stays_where_the_new_one_fails(folder: Path) -> None:
    with pytest.raises(RuntimeError), replaced_folder(folder) as new:
        (new / "new").write_text("new")
        raise RuntimeError
    assert names(folder) == ["old"] and names(folder.parent) == ["data"]


def test_folders_are_exchanged_in_one_step(folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    exchange(other, folder)
    assert (names(folder), names(other)) == ([], ["old"])
    with pytest.raises(FileNotFoundError):
        exchange(folder.parent / "none", folder)


def test_where_the_file_system_cannot_exchange_two_renames_do(folder: Path) -> None:
    """As it lies between them, and after them until the old one is removed, is what `mend` takes care of."""
    new = folder.parent / "data.incomplete"
    new.mkdir()
    (new / "new").write_text("new")
    exchange_by_rename(new, folder)
    assert names(folder.parent) == ["data", "data.before"]
    assert (names(folder), names(folder.parent / "data.before")) == (["new"], ["old"])
    mend(folder)
    assert names(folder) == ["new"] and names(folder.parent) == ["data"]


def test_what_a_killed_run_left_is_mended(folder: Path) -> None:
    folder.rename(folder.parent / "data.before")
    mend(folder)
    assert names(folder) == ["old"]
    for name in ("data.before", "data.incomplete", "data.parts-0123456789ab", "data.others"):
        (folder.parent / name).mkdir()
    mend(folder)
    assert names(folder) == ["old"] and names(folder.parent) == ["data", "data.others"]


def test_folder_that_another_run_writes_is_refused(folder: Path) -> None:
    with sole_writer(folder, folder.parent / "data.incomplete"):
        with pytest.raises(ValueError, match="data is being written by another run"):
            with replaced_folder(folder):
                raise AssertionError
        with pytest.raises(ValueError, match="data is being written by another run"):
            mend(folder)
    assert names(folder) == ["old"]
