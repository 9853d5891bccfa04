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
    """The folder that shall hold `folder`.

    ValueError where a file is in the way, or `folder` is a disk of its own, whose place nothing can
    take; OSError where it may not be made.
    """
    for place in (folder, *folder.parents):
        if place.is_file():
            raise ValueError(
                f"{folder} cannot be written: {place} is a file, not a folder; choose another output"
            )
    if folder.is_mount():
        raise ValueError(
            f"{folder} is a disk or volume of its own, which no folder can replace; say {folder / 'NAME'} as output"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(folder, error) from None


def _refusal(folder: Path, error: OSError) -> OSError:
    """Says which folder was to be written, rather than what lies beside it for a time."""
    line = f"{folder} cannot be written: {error.strerror} ({folder.parent})"
    return OSError(f"{line}; choose another output, or change what forbids it")


@contextmanager
def sole_writer(folder: Path, temporary: Path) -> Iterator[None]:
    """ValueError where another run writes `folder`. The kernel frees the lock with its owner, however that one ends.

    Its file is removed while it is held; who opened it before finds that it has no name any more.
    """
    lock = FileLock(temporary.with_name(temporary.name + ".lock"), blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"{folder} is being written by another run; wait until it ends") from None
    except OSError as error:
        raise _refusal(folder, error) from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
