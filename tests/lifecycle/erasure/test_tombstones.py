"""Who is erased, by tombstones of several keys, and how those of a log come into a file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lifecycle.erasure.keys import ErasureKeys, create_keys, rotate_keys
from lifecycle.erasure.tombstones import (
    Tombstone,
    Tombstones,
    erased_ids,
    read_tombstones,
    write_tombstones,
)

NOW = datetime(2026, 1, 31, 18, 30, tzinfo=UTC)


def tombstone(keys: ErasureKeys, customer_id: str, **changes: object) -> Tombstone:
    key = keys.newest
    fields = {"key": key.id, "sha256": key.hash_of(customer_id), "erased_at": NOW}
    return Tombstone.model_validate(fields | changes)


def test_erased_are_found_by_whichever_key_wrote(tmp_path: Path) -> None:
    first = create_keys(tmp_path / "key", NOW)
    both = rotate_keys(tmp_path / "key", NOW)
    told = [tombstone(first, "a"), tombstone(both, "b"), tombstone(both, "c", lifted_at=NOW)]
    assert erased_ids(told, both).among(["a", "b", "c", "d"]) == {"a", "b"}
    assert erased_ids(told, both).hash_of("a") == told[0].sha256
    with pytest.raises(ValueError, match="were written with key"):
        erased_ids(told, first)
    assert erased_ids([told[2]], None).among(["c"]) == set()


def test_generation_rises_with_new_tombstones_alone(tmp_path: Path) -> None:
    keys = create_keys(tmp_path / "key", NOW)
    a, b = tombstone(keys, "a"), tombstone(keys, "b")
    one = Tombstones().with_others([a])
    assert one.with_others([a]) == one
    two = one.with_others([a, b])
    assert (one.generation, two.generation) == (1, 2)
    assert [each.sha256 for each in two.since(1)] == [b.sha256]
    lifted = two.with_others([b.model_copy(update={"lifted_at": NOW})])
    assert (lifted.generation, lifted.since(1)) == (2, [])
    again = lifted.with_others([b.model_copy(update={"erased_at": NOW + timedelta(days=1)})])
    assert again.generation == 3 and len(again.since(2)) == 1


def test_file_comes_back_and_bad_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "tombstones.json"
    with pytest.raises(ValueError, match="there is no such file; python -m training.erase makes"):
        read_tombstones(path)
    whole = Tombstones().with_others([tombstone(create_keys(tmp_path / "key", NOW), "a")])
    write_tombstones(path, whole)
    assert read_tombstones(path) == whole
    for text in ("{", '{"tombstones": [{"key": "k", "sha256": "x", "erased_at": "never"}]}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"tombstones.json is damaged"):
            read_tombstones(path)
    path.write_text('{"format_version": 9}')
    with pytest.raises(ValueError, match="format_version is 9"):
        read_tombstones(path)
