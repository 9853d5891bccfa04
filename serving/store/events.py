"""Events of single customers: out of an ingest folder, one filtered scan per shard, and out of the log since."""

from pathlib import Path
from threading import Lock

import polars as pl
from cachetools import LRUCache

from lifecycle.events.log_position import with_later
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.events.shards import (
    DATA_KIND,
    read_data_manifest,
    scan_shard,
    shard_numbers,
    shard_paths,
)
from lifecycle.features.attributes import PREFIX, read_customers
from lifecycle.log.database import Log
from serving.predict.queries import Attributes
from serving.store.since import Later, SinceData, since_data

MAX_CACHED_ROWS = 500_000  # about 60 MB of events
NOTHING_LATER = Later({}, frozenset(), 0)


class UnknownCustomers(KeyError):
    """Customers that the store has neither an event nor a line in the table of customers of."""

    def __init__(self, customer_ids: list[str]) -> None:
        super().__init__(customer_ids)
        self.customer_ids = customer_ids


class EventStore:
    """Read-only look-ups by customer in a complete ingest folder and in the log of events since.

    The customers of the folder that were asked for last are kept in memory; the log is read for
    every answer.
    """

    def __init__(
        self, data: Path, log: Log | None = None, max_cached_rows: int = MAX_CACHED_ROWS
    ) -> None:
        """Raises ValueError where the folder is not complete, a shard is missing, or the log is not its own."""
        self.data = data
        manifest = read_data_manifest(data)
        self.data_end = manifest.last_event_at
        self.since: SinceData | None = None if log is None else since_data(data, manifest, log)
        self.shards = shard_paths(data)
        for path in self.shards:
            if not path.is_file():
                raise ValueError(
                    f"{DATA_KIND} folder {data} is damaged: {path.relative_to(data)} is missing"
                )
        self.customers = read_customers(data)
        self.cached: LRUCache[str, pl.DataFrame] = LRUCache(max_cached_rows, getsizeof=len)
        self.lock = Lock()
        self.last_erasure = 0  # as of which `cached` holds nobody who is erased

    def events_of(self, customer_ids: list[str]) -> dict[str, pl.DataFrame]:
        """All events of each customer with the columns of EVENT_SCHEMA, by time; none of those only registered.

        What the log acknowledged before the call is among them. Raises UnknownCustomers naming every
        customer the store does not know or the log says is erased, and LogUnavailable. Safe to call
        from several threads.
        """
        named = list(dict.fromkeys(customer_ids))
        later = NOTHING_LATER if self.since is None else self.since.of(named)
        wanted = [customer for customer in named if customer not in later.erased]
        self._notice(later.last_erasure)
        with self.lock:
            found = {
                customer: self.cached[customer] for customer in wanted if customer in self.cached
            }
        found |= self._read([customer for customer in wanted if customer not in found])
        silent = self.attributes_of([customer for customer in wanted if customer not in found])
        nothing = pl.DataFrame(schema=EVENT_SCHEMA)
        found |= dict.fromkeys(silent, nothing)
        for customer, events in later.events.items():
            assert self.since is not None
            found[customer] = with_later(found.get(customer, nothing), events, self.since.position)
        unknown = [customer for customer in named if customer not in found]
        if unknown:
            raise UnknownCustomers(unknown)
        return found

    def attributes_of(self, customer_ids: list[str]) -> dict[str, Attributes]:
        """What the table of customers says of each that it knows: usable attributes and its own discount rate.

        Who is erased is left out, as of the last `events_of`.
        """
        if self.customers.is_empty():
            return {}
        if self.since is not None:
            erased = self.since.log.erasures.known.among(customer_ids)
            customer_ids = [customer for customer in customer_ids if customer not in erased]
        ids = self.customers["customer_id"]  # ascending
        places = ids.search_sorted(pl.Series(customer_ids, dtype=pl.String)).clip(0, ids.len() - 1)
        nearest = self.customers[places].unique("customer_id")
        known = nearest.filter(pl.col("customer_id").is_in(customer_ids))
        return {row["customer_id"]: _told(row) for row in known.iter_rows(named=True)}

    def titles_of(self, item_ids: pl.Series) -> dict[str, str]:
        """The titles of those items that the catalogue has with one."""
        wanted = item_ids.drop_nulls().unique()
        if wanted.is_empty():
            return {}
        items = pl.scan_parquet(self.data / "items.parquet").select("item_id", "title").drop_nulls()
        found = items.filter(pl.col("item_id").is_in(wanted.implode())).unique("item_id")
        return dict(found.collect().iter_rows())

    def since_then(self, customer_ids: list[str]) -> tuple[frozenset[str], frozenset[str]]:
        """Who of these customers is erased, and who has events that the folder does not contain. LogUnavailable."""
        later = NOTHING_LATER if self.since is None else self.since.of(customer_ids)
        return later.erased, frozenset(later.events)

    def forget(self, customer_id: str) -> None:
        """Keep no events of a customer in memory."""
        with self.lock:
            self.cached.pop(customer_id, None)

    def _notice(self, last_erasure: int) -> None:
        """Keep nobody's events in memory where another gateway has erased somebody."""
        with self.lock:
            if last_erasure != self.last_erasure:
                self.cached.clear()
                self.last_erasure = last_erasure

    def _read(self, customer_ids: list[str]) -> dict[str, pl.DataFrame]:
        """The customers that have events, from the shards they hash to; Parquet statistics skip most row groups."""
        if not customer_ids:
            return {}
        wanted = pl.DataFrame({"customer_id": customer_ids}, schema={"customer_id": pl.String})
        wanted = wanted.with_columns(
            shard_numbers(wanted["customer_id"], len(self.shards)).alias("shard")
        )
        found: dict[str, pl.DataFrame] = {}
        for (shard,), rows in wanted.group_by("shard"):
            assert isinstance(shard, int)
            ids = rows["customer_id"].to_list()
            scan = scan_shard(self.shards[shard]).filter(pl.col("customer_id").is_in(ids))
            events = scan.select(EVENT_SCHEMA.names()).collect()
            events = events.sort("customer_id", "occurred_at", maintain_order=True)
            for (customer,), own in events.group_by("customer_id", maintain_order=True):
                found[str(customer)] = own
        self._keep(found)
        return found

    def _keep(self, found: dict[str, pl.DataFrame]) -> None:
        with self.lock:
            for customer, events in found.items():
                if len(events) <= self.cached.maxsize:
                    self.cached[customer] = events


def _told(row: Attributes) -> Attributes:
    """What a line of the table of customers tells, by the names that requests use."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in row.items()
        if name != "customer_id" and value is not None
    }
