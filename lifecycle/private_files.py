"""Files that hold secrets or their hashes: JSON of mode 0600, which one process writes at a time."""

import json
import os
import stat
from pathlib import Path

from filelock import FileLock

from lifecycle.folders import whole_file


def check_private(path: Path, name: str) -> None:
    """ValueError where others than its owner may use a file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise ValueError(
            f"{name} {path} has mode {mode:04o}, others may use it; run: chmod 600 {path}"
        )


def write_private(path: Path, value: object) -> None:
    """Write JSON that nobody but its owner can read at any moment, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            json.dump(value, file, indent=1)


def writing_private(path: Path) -> FileLock:
    """Lets one process or thread write at a time; goes with the process."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileLock(path.with_name(path.name + ".lock"))
