"""scores.parquet: an artifact's answers for all customers of an ingest folder, shard by shard."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact import LLAMA, Artifact, cheap_value, examples_for, labels_for, values_for
from lifecycle.events import read_shard, shard_paths
from lifecycle.history import customers_at
from lifecycle.jobs import Progress

NUMBERS = ("revenue", "refunds", "service_cost", "marketing_cost", "expected_orders", "expected_order_value",
           "p_active", "churn_probability")  # fmt: skip


def as_of_instant(given: datetime | None, data: dict[str, object]) -> datetime:
    """The instant asked for in UTC, or the one just after the last event of the data with this manifest."""
    if given is not None:
        return given.astimezone(UTC)
    return datetime.fromisoformat(str(data["last_event_at"])) + timedelta(microseconds=1)


def write_scores(artifact: Artifact, data: Path, as_of: datetime, folder: Path, num_workers: int) -> int:
    """Write scores.parquet into `folder`; returns its number of rows. ValueError where no customer has a purchase."""
    paths = shard_paths(data)
    totals = None
    if artifact.settings.champion == LLAMA:
        totals = _llama_totals(artifact, [examples_of(artifact, path, as_of)["prompt"] for path in paths], num_workers)
    progress = Progress("shards scored", len(paths), "shards")
    parts = []
    for number, path in enumerate(paths):
        examples = examples_of(artifact, path, as_of)
        total = cheap_value(artifact, artifact.settings.champion, examples) if totals is None else totals[number]
        parts.append(folder / f"part-{number}.parquet")
        scores_of(artifact, examples, total).write_parquet(parts[-1])
        progress.advance(1)
    pl.scan_parquet(parts).sink_parquet(folder / "scores.parquet")
    for part in parts:
        part.unlink()
    num_customers = int(pl.scan_parquet(folder / "scores.parquet").select(pl.len()).collect().item())
    if num_customers == 0:
        raise ValueError(f"{data} has no customer with a purchase before {as_of.isoformat()}")
    return num_customers


def examples_of(artifact: Artifact, shard: Path, as_of: datetime) -> pl.DataFrame:
    """Keys, prompt and features of the customers of one shard who have bought before `as_of`."""
    events = read_shard(shard)
    return examples_for(artifact, events, customers_at(events, as_of))


def _llama_totals(artifact: Artifact, prompts: list[pl.Series], num_workers: int) -> list[np.ndarray]:
    """Expected spend by shard; the prompts of all shards go through the same actors, which load the model once."""
    from training.inference import llama_spend

    everyone = pl.concat(prompts)
    predicted = llama_spend(artifact.member, everyone, num_workers)[0] if everyone.len() else np.empty(0)
    return np.split(predicted, np.cumsum([part.len() for part in prompts])[:-1])


def scores_of(artifact: Artifact, examples: pl.DataFrame, total: np.ndarray) -> pl.DataFrame:
    """The columns of scores.parquet for customers whose spend over the horizon is expected to be `total` (n,)."""
    values = values_for(artifact, examples, total)
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
