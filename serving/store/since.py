"""The events that a log has and an ingest folder does not contain yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from lifecycle.events.log_position import LogPosition
from lifecycle.events.schema import with_shop_days
from lifecycle.events.shards import DataManifest
from lifecycle.log.database import Log, shown_url
from lifecycle.log.reader import events_after, last_sequence


@dataclass(frozen=True)
class SinceData:
    """A log from a position on; `timezone` is that of the shop's days."""

    log: Log
    position: LogPosition
    timezone: str

    def events_of(self, customer_ids: Sequence[str]) -> dict[str, pl.DataFrame]:
        """The later events of each customer that has any, in the order of the log. LogUnavailable."""
        events = events_after(self.log, self.position.sequence, customer_ids)
        if events.is_empty():
            return {}
        by_customer = with_shop_days(events, self.timezone).partition_by(
            "customer_id", as_dict=True, maintain_order=True
        )
        return {str(customer): own for (customer,), own in by_customer.items()}


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
