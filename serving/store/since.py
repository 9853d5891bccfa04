"""The events that a log has and an ingest folder does not contain yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lifecycle.events.log_position import LogPosition
from lifecycle.events.schema import with_shop_days
from lifecycle.events.shards import DataManifest
from lifecycle.log.database import Log, shown_url
from lifecycle.log.reader import customers_since, last_sequence


@dataclass(frozen=True)
class Later:
    """What a log adds to an ingest folder for some customers."""

    events: dict[str, pl.DataFrame]  # of each customer that has any, in the order of the log
    erased: frozenset[str]  # who of them is
    last_erasure: int  # changes whenever who is erased does


@dataclass(frozen=True)
class SinceData:
    """A log from a position on; `timezone` is that of the shop's days."""

    log: Log
    position: LogPosition
    timezone: str

    def of(self, customer_ids: Sequence[str]) -> Later:
        """What the log says now of these customers. LogUnavailable."""
        found = customers_since(self.log, self.position.sequence, customer_ids)
        by_customer: dict[str, pl.DataFrame] = {}
        if not found.events.is_empty():
            dated = with_shop_days(found.events, self.timezone)
            for (customer,), own in dated.group_by("customer_id", maintain_order=True):
                by_customer[str(customer)] = own
        return Later(by_customer, found.erased, found.last_erasure)


def since_data(data: Path, manifest: DataManifest, log: Log) -> SinceData:
    """A log from where an ingest folder ends; ValueError where the folder contains another log, or more of this one."""
    contained = manifest.log or LogPosition(identity=log.identity, sequence=0)
    if contained.identity != log.identity:
        raise ValueError(
            f"data {data} contain another log than {shown_url(log.url)}: "
            "make them from this one, or serve that one"
        )
    last = last_sequence(log)
    if last < contained.sequence:
        raise ValueError(
            f"data {data} contain the log up to event {contained.sequence}, and it ends at {last}: "
            "has an older copy of it taken its place?"
        )
    return SinceData(log, contained, manifest.timezone)
