"""Questions about the test customers of a shop, as the service puts them to its predictor."""

from pathlib import Path

import polars as pl

from serving.predict.queries import CustomerQuery
from serving.store.events import EventStore


def asked(store: EventStore, folder: Path, size: int) -> list[CustomerQuery]:
    """Queries of so many test customers of `folder / examples`, the first ones, whose events were looked up."""
    examples = pl.scan_parquet(folder / "examples" / "test.parquet")
    ids = examples.select("customer_id").head(size).collect()["customer_id"].to_list()
    events = store.events_of(ids)
    attributes = store.attributes_of(ids)
    return [
        CustomerQuery(name, events[name], attributes.get(name, {}), data_end=store.data_end)
        for name in ids
    ]
