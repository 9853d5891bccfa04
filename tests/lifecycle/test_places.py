"""Places that a job cannot write are told before it works, by the output's name and with what helps."""

import errno
import os
from pathlib import Path

import pytest

from lifecycle.folders import Manifest, new_folder, verify, whole_file, write_manifest

ONE = Manifest(identity="one")


def test_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")
    for output in (tmp_path / "notes" / "data", tmp_path / "notes" / "deep" / "data"):
        with (
            pytest.raises(ValueError, match=f"{output} cannot be written: .*notes is a file"),
            new_folder(output),
        ):
            pass


def test_output_that_is_a_file_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with (
        pytest.raises(ValueError, match="data is a file, not a folder; choose another output"),
        new_folder(tmp_path / "data"),
    ):
        pass
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize("is_there", [True, False])
def test_link_stays_and_what_it_leads_to_is_written(tmp_path: Path, is_there: bool) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if is_there:
        (disk / "data").mkdir()
    (tmp_path / "data").symlink_to(disk / "data")
    with new_folder(tmp_path / "data") as folder:
        write_manifest(folder, "data", ONE)
    assert (tmp_path / "data").is_symlink() and not (disk / "data").is_symlink()
    verify(tmp_path / "data", "data")
    assert os.listdir(disk) == ["data"]


def test_volume_is_refused_before_work_begins() -> None:
    with (
        pytest.raises(ValueError, match="/proc is a disk or volume of its own, .* say /proc/NAME"),
        new_folder(Path("/proc")),
    ):
        pass


def test_place_that_refuses_is_told_by_the_output(tmp_path: Path) -> None:
    output = tmp_path / ("x" * 250)  # with .incomplete.lock behind it longer than any name may be
    with (
        pytest.raises(OSError, match=f"{output} cannot be written: File name too long") as told,
        new_folder(output),
    ):
        pass
    assert "choose another output" in str(told.value) and ".lock" not in str(told.value)


def test_file_on_a_full_disk_is_named_and_no_half_of_it_stays(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("before")
    with (
        pytest.raises(OSError, match="list.csv cannot be written: .*; free some space there"),
        whole_file(tmp_path / "list.csv") as unfinished,
    ):
        unfinished.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(tmp_path) == ["list.csv"]
    assert (tmp_path / "list.csv").read_text() == "before"
