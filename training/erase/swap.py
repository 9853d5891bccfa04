"""A complete folder gives its place to a new one: at every moment one of the two is there, whole."""

import ctypes
import errno
import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.places import sole_writer, tell_of_full_disk

HERE = -100  # AT_FDCWD: paths count from the working directory
EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2)
NOT_KNOWN = (errno.ENOSYS, errno.EINVAL)  # by an old kernel, or this file system
NEW = ".incomplete"  # as `new_folder` has it, so that no other job writes meanwhile
PARTS = ".parts-"  # of a scoring that was cut short
BEFORE = ".before"  # where the old folder waits while the new one takes its place


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, whose place it takes after the with-block.

    ValueError where another run writes the folder.
    """
    temporary = folder.with_name(folder.name + NEW)
    with sole_writer(folder, temporary):
        temporary.mkdir()
        try:
            yield temporary
        except BaseException as error:
            shutil.rmtree(temporary, ignore_errors=True)
            tell_of_full_disk(folder, error)
            raise
        exchange(temporary, folder)
        _remove(folder, NEW, BEFORE)


def mend(folder: Path) -> None:
    """Clear what killed runs left beside a folder, the folder as it was before among them.

    Where one was killed between the two steps of `exchange_by_rename`, the old folder comes back.
    ValueError where another run writes the folder.
    """
    if not folder.parent.is_dir():
        return
    before = folder.with_name(folder.name + BEFORE)
    with sole_writer(folder, folder.with_name(folder.name + NEW)):
        if before.is_dir() and not folder.exists():
            os.replace(before, folder)
        _remove(folder, NEW, BEFORE)
        for path in folder.absolute().parent.glob(f"{glob.escape(folder.name)}{PARTS}*"):
            shutil.rmtree(path)


def exchange(new: Path, folder: Path) -> None:
    """Swap two folders in one step; in two where the file system cannot, which `mend` takes care of."""
    rename = ctypes.CDLL(None, use_errno=True).renameat2
    if rename(HERE, os.fsencode(new), HERE, os.fsencode(folder), EXCHANGE) == 0:
        return
    number = ctypes.get_errno()
    if number not in NOT_KNOWN:
        raise OSError(number, os.strerror(number), str(folder))
    exchange_by_rename(new, folder)


def exchange_by_rename(new: Path, folder: Path) -> None:
    """Two steps: the folder is set aside, the new one takes its place."""
    os.replace(folder, folder.with_name(folder.name + BEFORE))
    os.replace(new, folder)


def _remove(folder: Path, *endings: str) -> None:
    for ending in endings:
        shutil.rmtree(folder.with_name(folder.name + ending), ignore_errors=True)
