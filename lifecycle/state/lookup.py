"""Customer state in memory: mapped files, in which an answer is found without reading the others."""

import mmap
from pathlib import Path

import mmh3
import numpy as np

from lifecycle.state.answers import opening_of
from lifecycle.state.files import (
    ANSWERS_FILE,
    HASH_SALT,
    HASHES_FILE,
    PLACES_FILE,
    STATE_KIND,
    read_state_manifest,
)

SEED = mmh3.hash(HASH_SALT, signed=False)


class CustomerState:
    """The encoded answers of a folder by customer. Processes that map the same folder share its memory.

    Sizes are checked, and each answer by the id that it begins with; the hashes of the manifest are
    not, since that would read everything.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ValueError where the folder is not complete, or a file is missing or of the wrong size."""
        manifest = read_state_manifest(folder)
        for name in (ANSWERS_FILE, HASHES_FILE, PLACES_FILE):
            if not (folder / name).is_file():
                raise ValueError(f"{STATE_KIND} folder {folder} is damaged: {name} is missing")
        self.as_of = manifest.as_of
        self.hashes = np.asarray(np.load(folder / HASHES_FILE, mmap_mode="r"))
        self.places = np.asarray(np.load(folder / PLACES_FILE, mmap_mode="r"))
        num_bytes = (folder / ANSWERS_FILE).stat().st_size
        shapes = (self.hashes.shape, self.places.shape)
        size = manifest.num_customers
        if shapes != ((size,), (size, 2)) or int(self.places[:, 1].max()) != num_bytes:
            raise ValueError(
                f"{STATE_KIND} folder {folder} is damaged: its files do not fit each other"
            )
        with (folder / ANSWERS_FILE).open("rb") as file:
            self.answers = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def find(self, customer_id: str) -> bytes | None:
        """The encoded answer for a customer; None for one who is not there."""
        number = np.uint64(mmh3.hash64(customer_id, SEED, signed=False)[0])
        opening = opening_of(customer_id)
        row = int(self.hashes.searchsorted(number))
        while row < len(self.hashes) and self.hashes[row] == number:
            start, end = self.places[row].tolist()
            answer = self.answers[start:end]
            if answer.startswith(opening):
                return answer
            row += 1  # two ids may have the same hash
        return None
