"""A disk of a few megabytes."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A folder that is a file system of its own; skips where this user may not mount one.

    It lies outside of pytest's folders, which are closed to the account that PostgreSQL runs as.
    """
    folder = Path(tempfile.mkdtemp(prefix="evervalue-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("this user may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


def fill(folder: Path, *, bytes_left: int) -> Path:
    """A file that takes all room but so much; whoever deletes it makes room."""
    told = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(told.f_bavail * told.f_frsize - bytes_left))
    return ballast
