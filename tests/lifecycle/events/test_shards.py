from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.schema import EVENT_SCHEMA, order_key, with_shop_days
from lifecycle.events.shards import (
    DATA_KIND,
    DataManifest,
    read_shard,
    shard_numbers,
    shard_paths,
    stable_hash,
)
from lifecycle.folders import new_folder, write_manifest

MASK = (1 << 64) - 1


def murmur3_x64_128_low(data: bytes, seed: int) -> int:
    """The first half of MurmurHash3_x64_128, written from its public-domain description."""

    def rotated(value: int, bits: int) -> int:
        return (value << bits | value >> (64 - bits)) & MASK

    def finished(value: int) -> int:
        value = (value ^ value >> 33) * 0xFF51AFD7ED558CCD & MASK
        value = (value ^ value >> 33) * 0xC4CEB9FE1A85EC53 & MASK
        return value ^ value >> 33

    c1 = 0x87C37B91114253D5
    c2 = 0x4CF5AD432745937F
    h1 = h2 = seed
    for start in range(0, len(data), 16):
        block = data[start : start + 16]
        k1 = int.from_bytes(block[:8], "little")
        k2 = int.from_bytes(block[8:], "little")
        h1 ^= rotated(k1 * c1 & MASK, 31) * c2 & MASK
        if len(block) == 16:
            h1 = (rotated(h1, 27) + h2) * 5 + 0x52DCE729 & MASK
        h2 ^= rotated(k2 * c2 & MASK, 33) * c1 & MASK
        if len(block) == 16:
            h2 = (rotated(h2, 31) + h1) * 5 + 0x38495AB5 & MASK
    h1 = h1 ^ len(data)
    h2 = h2 ^ len(data)
    h1 = h1 + h2 & MASK
    h2 = h2 + h1 & MASK
    h1 = finished(h1)
    h2 = finished(h2)
    return h1 + h2 & MASK


def murmur3_x86_32(data: bytes) -> int:
    """MurmurHash3_x86_32 with seed 0."""
    mask = (1 << 32) - 1
    h = 0
    for start in range(0, len(data), 4):
        block = data[start : start + 4]
        k = int.from_bytes(block, "little") * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) & mask
        h ^= k * 0x1B873593 & mask
        if len(block) == 4:
            h = ((h << 13 | h >> 19) & mask) * 5 + 0xE6546B64 & mask
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def test_stable_hash_is_murmur3_with_the_hashed_salt_as_seed() -> None:
    ids = ["", "1", "17850", "customer-000123456789", "Zoë", "exactly-16-bytes"]
    for salt in ("shard", "fold"):
        expected = [
            murmur3_x64_128_low(text.encode(), murmur3_x86_32(salt.encode())) for text in ids
        ]
        assert stable_hash(pl.Series(ids), salt).tolist() == expected


def test_published_murmur3_value() -> None:
    assert murmur3_x86_32(b"foo") == 4138058784  # mmh3's documentation, signed there: -156908512
    assert (
        murmur3_x64_128_low(b"foo", 0) == 16316970633193145697
    )  # hash64("foo") there, signed: -2129773440516405919


def test_shards_are_even_and_independent_of_other_salts() -> None:
    ids = pl.Series([str(number) for number in range(20_000)])
    shards = shard_numbers(ids, 4).to_numpy()
    folds = stable_hash(ids, "fold") % np.uint64(5)
    counts = np.histogram2d(shards, folds.astype(np.int64), bins=(4, 5))[0]
    assert abs(counts - 1000).max() < 5 * np.sqrt(
        1000
    )  # five standard deviations of a Poisson count


def test_shard_of_a_customer_does_not_depend_on_the_others() -> None:
    together = shard_numbers(pl.Series(["a", "b", "a", "c"]), 7).to_list()
    alone = [shard_numbers(pl.Series([name]), 7).item() for name in ("a", "b", "a", "c")]
    assert together == alone


def test_paths_of_a_complete_folder(tmp_path: Path) -> None:
    manifest = DataManifest(
        identity="one",
        num_shards=2,
        currency="USD",
        first_event_at=datetime(2024, 1, 1, tzinfo=UTC),
        last_event_at=datetime(2024, 1, 2, tzinfo=UTC),
        num_events=1,
        num_customers=1,
        usable_attributes=(),
    )
    with new_folder(tmp_path / "data") as folder:
        write_manifest(folder, DATA_KIND, manifest)
    names = [path.relative_to(tmp_path).as_posix() for path in shard_paths(tmp_path / "data")]
    assert names == ["data/events/shard-00000.parquet", "data/events/shard-00001.parquet"]


def test_lines_without_order_id_are_one_order_per_utc_day() -> None:
    times = [
        datetime(2024, 1, 1, 0, tzinfo=UTC),
        datetime(2024, 1, 1, 23, tzinfo=UTC),
        datetime(2024, 1, 2, tzinfo=UTC),
    ]
    rows = [
        {"occurred_at": at, "order_id": order}
        for at, order in zip(times, (None, None, "X"), strict=True)
    ]
    events = pl.DataFrame(rows, schema=EVENT_SCHEMA)
    assert events.select(order_key()).to_series().to_list() == ["2024-01-01", "2024-01-01", "X"]


def test_lines_without_order_id_are_one_order_per_day_of_the_shop() -> None:
    evening = datetime(2024, 1, 1, 23, 30, tzinfo=UTC)  # in Berlin the next day
    rows = [{"occurred_at": evening, "order_id": order} for order in (None, "X")]
    events = pl.DataFrame(rows, schema=EVENT_SCHEMA)
    orders = with_shop_days(events, "Europe/Berlin").select(order_key()).to_series()
    assert orders.to_list() == ["2024-01-02", "X"]
    assert with_shop_days(events, "UTC").equals(events)


def test_shards_from_before_there_were_days_of_the_shop_are_read(tmp_path: Path) -> None:
    events = pl.DataFrame([{"customer_id": "1"}], schema=EVENT_SCHEMA)
    events.drop("shop_day").write_parquet(tmp_path / "shard.parquet")
    assert read_shard(tmp_path / "shard.parquet").equals(events)
    assert read_shard(tmp_path / "shard.parquet", ["shop_day"])["shop_day"].to_list() == [None]
