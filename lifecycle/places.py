"""Whether a place can be written: what holds it, who else writes it, and words for a disk that is full."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

REMEDY = "free some space there and start the same command again"
NO_ROOM = re.compile(r"(errno|os error) (27|28|122)\b", re.IGNORECASE)  # EFBIG, ENOSPC, EDQUOT


def tell_of_full_disk(path: Path, error: BaseException) -> None:
    """OSError with path and remedy where its disk is full, which of polars is no OSError."""
    if NO_ROOM.search(str(error)) and REMEDY not in str(error):
        raise OSError(f"{path} cannot be written: {error}; {REMEDY}") from error


def make_parent(folder: Path) -> None:
    """ValueError where what should hold a folder is a file; OSError where it may not be written."""
    for parent in folder.parents:
        if parent.is_file():
            raise ValueError(
                f"{folder} cannot be written: {parent} is a file; choose another output"
            )
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """An OSError says which folder was to be written, rather than what lies beside it for a time."""
    try:
        yield
    except OSError as error:
        line = f"{folder} cannot be written: {error.strerror} ({folder.parent})"
        raise OSError(f"{line}; choose another output, or change what forbids it") from None


@contextmanager
def sole_writer(folder: Path, temporary: Path) -> Iterator[None]:
    """ValueError where another run writes `folder`. The kernel frees the lock with its owner, however that one ends.

    Its file is removed while it is held; who opened it before finds that it has no name any more.
    """
    lock = FileLock(temporary.with_name(temporary.name + ".lock"), blocking=False)
    try:
        with _writing(folder):
            lock.acquire()
    except Timeout:
        raise ValueError(f"{folder} is being written by another run; wait until it ends") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
