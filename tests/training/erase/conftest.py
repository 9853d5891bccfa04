"""Three customers who are erased, by ids that files write in several ways."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lifecycle.erasure.keys import create_keys
from lifecycle.erasure.tombstones import ErasedIds, Tombstone, erased_ids

NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def erased(tmp_path: Path) -> ErasedIds:
    keys = create_keys(tmp_path / "key.json", NOW)
    names = ("=b", "é, 2", "7", "a;-x")
    told = [
        Tombstone(key=keys.newest.id, sha256=keys.newest.hash_of(name), erased_at=NOW)
        for name in names
    ]
    return erased_ids(told, keys)
