"""Job: every customer of an ingest folder with value, churn, segment, stage and next best action, by an artifact."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact import LLAMA, Artifact, cheap_value, examples_for, labels_for, load_artifact, values_for
from lifecycle.config import Config
from lifecycle.events import DATA_KIND, read_shard, shard_paths
from lifecycle.folders import fingerprint, is_complete, new_folder, read_manifest
from lifecycle.history import customers_at
from lifecycle.jobs import Progress, run_job

logger = logging.getLogger(__name__)
SCORES_KIND = "scores"
NUMBERS = ("revenue", "refunds", "service_cost", "marketing_cost", "expected_orders", "expected_order_value",
           "p_active", "churn_probability")  # fmt: skip


class ScoreConfig(Config):
    """Recipe of `python -m training.score`."""

    data: Path
    artifact: Path
    as_of: datetime | None = None  # UTC; None: just after the last event of the data
    num_workers: int = 2  # LLaMA actors, where LLaMA is the champion
    output: Path


def score(config: ScoreConfig) -> None:
    """Write `<output>/scores.parquet`, one row per customer with a purchase before `as_of`, shard by shard."""
    data, artifact = read_manifest(config.data, DATA_KIND), load_artifact(config.artifact)
    identity = fingerprint([data["identity"], artifact.manifest["identity"], str(config.as_of)])
    if is_complete(config.output, SCORES_KIND, identity):
        logger.info("%s is complete already", config.output)
        return
    as_of = config.as_of or datetime.fromisoformat(str(data["last_event_at"])) + timedelta(microseconds=1)
    if as_of.tzinfo is None:
        raise ValueError(f"as_of is {as_of}; say its zone, as in {as_of}Z")
    content: dict[str, object] = {"identity": identity, "as_of": as_of.isoformat(), "model": artifact.settings.champion}
    with new_folder(config.output, SCORES_KIND, content) as folder:
        paths = shard_paths(config.data)
        progress = Progress("shards scored", len(paths), "shards")
        parts = []
        for number, path in enumerate(paths):
            events = read_shard(path)
            part = folder / f"part-{number}.parquet"
            scores_of(artifact, events, customers_at(events, as_of), config.num_workers).write_parquet(part)
            parts.append(part)
            progress.advance(1)
        pl.scan_parquet(parts).sink_parquet(folder / "scores.parquet")
        for part in parts:
            part.unlink()
        num_customers = pl.scan_parquet(folder / "scores.parquet").select(pl.len()).collect().item()
        if num_customers == 0:
            raise ValueError(f"{config.data} has no customer with a purchase before {as_of}")
        content["num_customers"] = num_customers
    logger.info("%s: %d customers", config.output / "scores.parquet", content["num_customers"])


def scores_of(artifact: Artifact, events: pl.DataFrame, cutoffs: pl.DataFrame, num_workers: int) -> pl.DataFrame:
    """The columns of scores.parquet for the customers of `cutoffs`."""
    examples = examples_for(artifact, events, cutoffs)
    values = values_for(artifact, examples, _total(artifact, examples, num_workers))
    limits = {
        f"clv_{side}_{round(100 * level)}": bounds[index]
        for level, bounds in values.clv_bounds.items()
        for index, side in enumerate(("low", "high"))
    }
    return pl.DataFrame({
        "customer_id": cutoffs["customer_id"],
        "as_of": cutoffs["cutoff"],
        "clv": values.clv,
        **limits,
        **{name: getattr(values, name) for name in NUMBERS},
        **{name: label.astype(str) for name, label in labels_for(artifact, examples, values).items()},
    })  # fmt: skip


def _total(artifact: Artifact, examples: pl.DataFrame, num_workers: int) -> np.ndarray:
    """The champion's expected spend over the horizon, shape (n,)."""
    if artifact.settings.champion != LLAMA:
        return cheap_value(artifact, artifact.settings.champion, examples)
    from training.inference import llama_spend

    return llama_spend(artifact.member, examples["prompt"], num_workers)


def main() -> None:
    """Entry point of `python -m training.score`."""
    run_job(ScoreConfig, "training.score", score)


if __name__ == "__main__":
    main()
