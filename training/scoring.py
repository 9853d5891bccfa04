"""scores.parquet: an artifact's answers for all customers of an ingest folder, shard by shard."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact import (
    Artifact,
    examples_for,
    expected_spend,
    labels_for,
    prospect_values_for,
    values_for,
)
from lifecycle.events import read_shard, shard_numbers, shard_paths
from lifecycle.history import KEYS, customers_at, prospects_at
from lifecycle.jobs import Progress
from lifecycle.value.clv import CustomerValues

NUMBERS = ("revenue", "refunds", "service_cost", "marketing_cost", "expected_orders", "expected_order_value",
           "p_active", "churn_probability")  # fmt: skip


def as_of_instant(given: datetime | date | None, data: dict[str, object]) -> datetime:
    """The instant or midnight asked for in UTC, or the instant just after the last event of the data."""
    if isinstance(given, datetime):
        return given.astimezone(UTC)
    if given is not None:
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return datetime.fromisoformat(str(data["last_event_at"])) + timedelta(microseconds=1)


def write_scores(artifact: Artifact, data: Path, as_of: datetime, folder: Path, num_workers: int) -> int:
    """Write scores.parquet into `folder`; returns its number of rows. ValueError where nobody is known yet."""
    paths = shard_paths(data)
    by_members: list[dict[str, np.ndarray]] = [{} for _ in paths]
    if artifact.members:
        buyers_by_shard = [_buyers(artifact, read_shard(path), as_of).select(*KEYS, "prompt") for path in paths]
        for name, member in artifact.members.items():
            for number, spend in enumerate(_llama_spend(member, data, buyers_by_shard, num_workers)):
                by_members[number][name] = spend
    registered = registered_customers(data, len(paths))
    progress = Progress("shards scored", len(paths), "shards")
    parts = []
    for number, path in enumerate(paths):
        events, own = read_shard(path), registered.filter(pl.col("shard") == number)["customer_id"]
        buyers, prospects = _buyers(artifact, events, as_of), _prospects(artifact, events, own, as_of)
        total = expected_spend(artifact, artifact.settings.champion, buyers, by_members[number])
        scores = [
            _scores(artifact, buyers, values_for(artifact, buyers, total)),
            _scores(artifact, prospects, prospect_values_for(artifact, prospects)),
        ]
        parts.append(folder / f"part-{number}.parquet")
        pl.concat(scores).sort("customer_id").write_parquet(parts[-1])
        progress.advance(1)
    pl.scan_parquet(parts).sink_parquet(folder / "scores.parquet")
    for part in parts:
        part.unlink()
    num_customers = int(pl.scan_parquet(folder / "scores.parquet").select(pl.len()).collect().item())
    if num_customers == 0:
        raise ValueError(f"{data} has no customer with an event before {as_of.isoformat()}")
    return num_customers


def registered_customers(data: Path, num_shards: int) -> pl.DataFrame:
    """customer_id and shard of everybody in the table of customers; no rows where the shop gave none."""
    table = data / "customers.parquet"
    empty = pl.DataFrame(schema={"customer_id": pl.String})
    customers = pl.read_parquet(table, columns=["customer_id"]) if table.exists() else empty
    return customers.with_columns(shard_numbers(customers["customer_id"], num_shards).alias("shard"))


def _buyers(artifact: Artifact, events: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Keys, prompt and features of the customers who have bought before `as_of`."""
    return examples_for(artifact, events, customers_at(events, as_of))


def _prospects(artifact: Artifact, events: pl.DataFrame, registered: pl.Series, as_of: datetime) -> pl.DataFrame:
    """The same of those who are known by then, but have not bought: by an event, or registered and never seen."""
    known = prospects_at(events, as_of)
    silent = pl.DataFrame({"customer_id": registered, "cutoff": as_of}, schema=known.schema)
    silent = silent.join(events, on="customer_id", how="anti")
    return examples_for(artifact, events, pl.concat([known, silent]))


def _llama_spend(member: Path, data: Path, buyers: list[pl.DataFrame], num_workers: int) -> list[np.ndarray]:
    """Expected spend by shard; the customers of all shards go through the same actors, which load the model once."""
    from training.inference import member_spend

    everyone = pl.concat(buyers)
    predicted = member_spend(member, data, everyone, num_workers)[0] if everyone.height else np.empty(0)
    return np.split(predicted, np.cumsum([part.height for part in buyers])[:-1])


def _scores(artifact: Artifact, examples: pl.DataFrame, values: CustomerValues) -> pl.DataFrame:
    """The columns of scores.parquet for customers of these values."""
    limits = {
        f"clv_{side}_{round(100 * level)}": ends
        for level, both in values.clv_bounds.items()
        for side, ends in zip(("low", "high"), both, strict=True)
    }
    return pl.DataFrame({
        "customer_id": examples["customer_id"],
        "as_of": examples["cutoff"],
        "clv": values.clv,
        **limits,
        **{name: getattr(values, name) for name in NUMBERS},
        **{name: label.astype(str) for name, label in labels_for(artifact, examples, values).items()},
    })  # fmt: skip
