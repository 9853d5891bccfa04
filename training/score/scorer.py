"""Scores parts of the customers: workers of Ray Data each write files that appear whole; small shops without Ray.

A part that is there already is not scored again.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from lifecycle.artifact.answers import (
    contributions_of,
    examples_for,
    prospect_reasons,
    reasons_for,
)
from lifecycle.artifact.assessment import (
    Assessment,
    assess_buyers,
    assess_prospects,
    bounds_of,
    numbers_of,
)
from lifecycle.artifact.champion import load_champion
from lifecycle.artifact.files import load_artifact
from lifecycle.artifact.leave_out import event_effects
from lifecycle.events.history import customers_at, not_bought_at
from lifecycle.events.shards import DataManifest, read_data_manifest, read_shard, shard_paths
from lifecycle.features.attributes import read_customers
from lifecycle.jobs import Progress
from lifecycle.spend.contributions import Reason
from training.score.parts import ScoreParts, write_whole

EXPLANATION = pl.List(pl.Struct({"feature": pl.String, "value": pl.Float64, "effect": pl.Float64}))
# On one core of two: a million customers of 2.4 million events, and 2,469 of 1.5 million.
SECONDS_PER_CUSTOMER = 80e-6
SECONDS_PER_EVENT = 3e-6
START_SECONDS = 15.0  # that Ray takes before it scores anybody
PART_SCHEMA = pa.schema({"shard": pa.int64(), "piece": pa.int64()})


class Scorer:
    """Holds an artifact, with the LLaMA encoders that its champion is or holds, on one core."""

    def __init__(self, parts: ScoreParts) -> None:
        self.parts = parts
        self.artifact = load_artifact(parts.artifact)
        self.champion = load_champion(self.artifact, self.artifact.members)
        self.cache = parts.cache(list(self.champion.members))
        self.registered = read_customers(parts.data)

    def __call__(self, parts: pa.Table) -> pa.Table:
        """For Ray Data: scores the parts named by the columns shard and piece."""
        for part in parts.to_pylist():
            self.score(part["shard"], part["piece"])
        return parts

    def score(self, shard: int, piece: int) -> None:
        """Write the scores of one part."""
        parts = self.parts
        events = parts.own(read_shard(shard_paths(parts.data)[shard]), shard, piece)
        registered = parts.own(self.registered, shard, piece)
        buyers = _described(customers_at(events, parts.as_of), registered)
        prospects = _described(_prospects(events, registered, parts.as_of), registered)
        scores = [self._buyers(buyers, events, parts.members_file(shard, piece))]
        if not prospects.is_empty():
            scores.append(self._prospects(prospects, events))
        write_whole(pl.concat(scores).sort("customer_id"), parts.file(shard, piece))

    def _buyers(
        self, cutoffs: pl.DataFrame, events: pl.DataFrame, members_file: Path
    ) -> pl.DataFrame:
        """The scores of those who have bought; what encoders expect of them goes into `members_file`."""
        examples = examples_for(self.artifact, events, cutoffs)
        by_members: dict[str, np.ndarray] = {}
        if self.champion.members:
            known = self.cache.spend(examples, events, self.parts.as_of, self.champion.members)
            write_whole(known, members_file)
            by_members = {name: known[name].to_numpy() for name in self.champion.members}
        total = self.champion.spend_given(examples, by_members)
        told = self.parts.explain == "features" and not examples.is_empty()
        found = contributions_of(self.artifact, examples) if told else None
        scores = _scores(examples, assess_buyers(self.artifact, examples, total, found))
        if self.parts.explain is None:
            return scores
        if self.parts.explain == "events":
            return _explained(scores, self._by_events(cutoffs, events, total))
        return _explained(scores, reasons_for(self.artifact, examples, found))

    def _prospects(self, cutoffs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
        """The scores of those who have not."""
        examples = examples_for(self.artifact, events, cutoffs)
        scores = _scores(examples, assess_prospects(self.artifact, examples))
        if self.parts.explain is None:
            return scores
        return _explained(scores, prospect_reasons(examples))

    def _by_events(
        self, cutoffs: pl.DataFrame, events: pl.DataFrame, total: np.ndarray
    ) -> list[list[Reason]]:
        """Which events moved the prediction of each buyer, from their cutoffs and what the table says of them."""
        groups = events.group_by("customer_id", maintain_order=True)
        own = {str(customer): rows for (customer,), rows in groups}
        return [
            event_effects(self.champion, own[customer], cutoffs[row], total[row])
            for row, customer in enumerate(cutoffs["customer_id"])
        ]


def score_parts(parts: ScoreParts, num_workers: int) -> None:
    """Score the parts that are missing, by as many workers; small shops without an encoder in this process."""
    missing = parts.missing()
    if not missing:
        return
    is_small = seconds_here(read_data_manifest(parts.data)) < START_SECONDS
    if num_workers == 1 or (is_small and not load_artifact(parts.artifact).members):
        _score_here(parts, missing)
        return
    from training.distributed.map import map_rows

    rows = [{"shard": shard, "piece": piece} for shard, piece in missing]
    map_rows(
        pa.Table.from_pylist(rows, PART_SCHEMA),
        Scorer,
        {"parts": parts},
        label="parts scored",
        unit="parts",
        num_workers=num_workers,
        block_rows=1,
    )


def seconds_here(data: DataManifest) -> float:
    """About how long this process takes for the customers of an ingest folder, without encoders."""
    return SECONDS_PER_CUSTOMER * data.num_customers + SECONDS_PER_EVENT * data.num_events


def _score_here(parts: ScoreParts, missing: list[tuple[int, int]]) -> None:
    scorer = Scorer(parts)
    progress = Progress("parts scored", len(missing), "parts")
    for shard, piece in missing:
        scorer.score(shard, piece)
        progress.advance(1)


def _prospects(events: pl.DataFrame, registered: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """Cutoffs of those who are known by then, but have not bought: by an event, or registered and never seen."""
    known = not_bought_at(events, as_of)
    silent = pl.DataFrame(
        {"customer_id": registered["customer_id"], "cutoff": as_of}, schema=known.schema
    )
    return pl.concat([known, silent.join(events, on="customer_id", how="anti")])


def _described(cutoffs: pl.DataFrame, registered: pl.DataFrame) -> pl.DataFrame:
    """With what the table of customers says of each."""
    return cutoffs.join(registered, on="customer_id", how="left", maintain_order="left")


def _scores(examples: pl.DataFrame, assessment: Assessment) -> pl.DataFrame:
    """The columns of scores.parquet but the explanation."""
    bounds = bounds_of(assessment.values)
    return pl.DataFrame(
        {
            "customer_id": examples["customer_id"],
            "as_of": examples["cutoff"],
            "clv": assessment.values.clv,
            **{f"clv_{name}": ends for name, ends in bounds.items()},
            **numbers_of(assessment.values),
            **{name: label.astype(str) for name, label in assessment.labels.items()},
        }
    )


def _explained(scores: pl.DataFrame, reasons: Sequence[Sequence[Reason]]) -> pl.DataFrame:
    return scores.with_columns(pl.Series("explanation", reasons, dtype=EXPLANATION))
