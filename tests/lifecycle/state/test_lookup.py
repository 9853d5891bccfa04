"""Look-ups in customer state: everybody is found, nobody else is, and damaged files are refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.shards import stable_hash
from lifecycle.state.answers import encoded
from lifecycle.state.files import ANSWERS_FILE, HASH_SALT, HASHES_FILE, PLACES_FILE
from lifecycle.state.lookup import CustomerState
from tests.builders import CUTOFF
from tests.lifecycle.state.builders import part_of, write_state


def test_everybody_is_found_and_nobody_else(tmp_path: Path) -> None:
    answers = [{"customer_id": f"c{number}", "clv": number / 7} for number in range(500)]
    odd = [{"customer_id": name, "clv": 1.0} for name in ('"', "ü", "c", " c1", "c1 ", "✓" * 80)]
    parts = part_of(*answers[:300]), part_of(*odd), part_of(*answers[300:])
    state = CustomerState(write_state(tmp_path / "state", *parts))
    assert state.as_of == CUTOFF
    for answer in [*answers, *odd]:
        assert state.find(str(answer["customer_id"])) == encoded(answer)
    for stranger in ("c500", "C1", "", "c01", 'c1","clv'):
        assert state.find(stranger) is None


def test_customers_with_the_same_hash_are_told_apart(tmp_path: Path) -> None:
    folder = write_state(
        tmp_path / "state",
        part_of({"customer_id": "a", "clv": 1.0}, {"customer_id": "b", "clv": 2.0}),
    )
    for name in ("a", "b"):  # as if both had the hash of this one
        own = stable_hash(pl.Series([name]), HASH_SALT)
        np.save(folder / HASHES_FILE, np.repeat(own, 2))
        state = CustomerState(folder)
        assert state.find(name) == encoded({"customer_id": name, "clv": 1.0 + (name == "b")})
        assert state.find("c") is None


def test_missing_and_torn_files_are_refused(tmp_path: Path) -> None:
    folder = write_state(tmp_path / "state", part_of({"customer_id": "a"}, {"customer_id": "b"}))
    whole = (folder / ANSWERS_FILE).read_bytes()
    (folder / ANSWERS_FILE).write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="damaged: its files do not fit each other"):
        CustomerState(folder)
    (folder / ANSWERS_FILE).write_bytes(whole)
    (folder / PLACES_FILE).unlink()
    with pytest.raises(ValueError, match=r"damaged: places.npy is missing"):
        CustomerState(folder)
