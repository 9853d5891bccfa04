from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.events.shards import shard_paths
from serving.store.events import EventStore, UnknownCustomers
from tests.builders import TinyShop


@pytest.fixture(scope="module")
def all_events(tiny_shop: TinyShop) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in shard_paths(tiny_shop.data)])


def test_every_customer_gets_exactly_its_own_events_in_order(
    tiny_shop: TinyShop, all_events: pl.DataFrame
) -> None:
    store = EventStore(tiny_shop.data)
    ids = all_events["customer_id"].unique().to_list()
    found = store.events_of(ids)
    assert set(found) == set(ids)
    for customer in ids:
        assert found[customer].schema == EVENT_SCHEMA
        assert found[customer]["occurred_at"].is_sorted()
        assert sorted(found[customer]["event_id"]) == sorted(
            all_events.filter(pl.col("customer_id") == customer)["event_id"]
        )


def test_answer_is_the_same_alone_together_and_again(tiny_shop: TinyShop) -> None:
    store = EventStore(tiny_shop.data)
    alone = store.events_of(["c7"])["c7"]
    together = EventStore(tiny_shop.data).events_of(["c1", "c7", "c7", "c250"])
    assert together["c7"].equals(alone)
    assert store.events_of(["c7"])["c7"].equals(alone)


def test_unknown_customers_are_all_named(tiny_shop: TinyShop) -> None:
    store = EventStore(tiny_shop.data)
    with pytest.raises(UnknownCustomers) as error:
        store.events_of(["c1", "nobody", "c2", "é\x00", "nobody"])
    assert error.value.customer_ids == ["nobody", "é\x00"]


def test_no_customers_no_events(tiny_shop: TinyShop) -> None:
    assert EventStore(tiny_shop.data).events_of([]) == {}


def test_memory_for_recent_customers_is_bounded(
    tiny_shop: TinyShop, all_events: pl.DataFrame
) -> None:
    store = EventStore(tiny_shop.data, max_cached_rows=50)
    for customer in all_events["customer_id"].unique(maintain_order=True).to_list()[:40]:
        store.events_of([customer])
        assert store.cached.currsize == sum(len(events) for events in store.cached.values()) <= 50
    assert customer in store.cached


def test_history_longer_than_the_memory_is_answered_and_not_kept(tiny_shop: TinyShop) -> None:
    longest = EventStore(tiny_shop.data).events_of(["c7"])["c7"]
    store = EventStore(tiny_shop.data, max_cached_rows=len(longest) - 1)
    assert store.events_of(["c7"])["c7"].equals(longest)
    assert "c7" not in store.cached


def test_threads_get_the_same_answers(tiny_shop: TinyShop, all_events: pl.DataFrame) -> None:
    store = EventStore(tiny_shop.data, max_cached_rows=100)
    ids = all_events["customer_id"].unique(maintain_order=True).to_list()[:20] * 10
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda customer: store.events_of([customer])[customer], ids))
    assert all(
        events["customer_id"].unique().to_list() == [customer]
        for customer, events in zip(ids, answers, strict=True)
    )
    assert store.cached.currsize == sum(len(events) for events in store.cached.values())


def test_folder_without_manifest_or_shard_is_refused(tiny_shop: TinyShop, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        EventStore(tmp_path / "nowhere")
    copytree(tiny_shop.data, tmp_path / "data")
    (tmp_path / "data" / "events" / "shard-00000.parquet").unlink()
    with pytest.raises(ValueError, match="events/shard-00000.parquet is missing"):
        EventStore(tmp_path / "data")
