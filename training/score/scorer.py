"""Scores parts of the customers: workers of Ray Data each write files that appear whole; small shops without Ray.

A part that is there already is not scored again.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from lifecycle.artifact.answers import (
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
from lifecycle.artifact.value_answer import value_answers
from lifecycle.events.history import customers_at, not_bought_at
from lifecycle.events.shards import DataManifest, read_data_manifest, read_shard, shard_paths
from lifecycle.features.attributes import read_customers
from lifecycle.jobs import Progress
from lifecycle.spend.contributions import Reason
from lifecycle.state.answers import encoded
from training.score.parts import ScoreParts, write_whole

EXPLANATION = pl.List(pl.Struct({"feature": pl.String, "value": pl.Float64, "effect": pl.Float64}))
# On one core of two: a million customers of 2.4 million events, and 2,469 of 1.5 million.
SECONDS_PER_CUSTOMER = 80e-6
SECONDS_PER_EVENT = 3e-6
SECONDS_PER_EXPLANATION = 1e-3  # contributions of the trees of a stack to a customer of the latter
START_SECONDS = 15.0  # that Ray takes before it scores anybody
PART_SCHEMA = pa.schema({"shard": pa.int64(), "piece": pa.int64()})


@dataclass(frozen=True)
class Scored:
    """What is said of some customers, and why where it is asked for."""

    examples: pl.DataFrame
    assessment: Assessment
    reasons: list[list[Reason]]


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
        groups = [self._buyers(buyers, events, parts.members_file(shard, piece))]
        if not prospects.is_empty():
            groups.append(self._prospects(prospects, events))
        if parts.with_state:  # before the scores, which say that the part is done
            answers = [_answers(group, self.artifact.settings.currency) for group in groups]
            write_whole(pl.concat(answers), parts.answers_file(shard, piece))
        scores = [_scores(group, is_explained=parts.explain is not None) for group in groups]
        write_whole(pl.concat(scores).sort("customer_id"), parts.file(shard, piece))

    def _buyers(self, cutoffs: pl.DataFrame, events: pl.DataFrame, members_file: Path) -> Scored:
        """Those who have bought; what encoders expect of them goes into `members_file`."""
        examples = examples_for(self.artifact, events, cutoffs)
        by_members: dict[str, np.ndarray] = {}
        if self.champion.members:
            known = self.cache.spend(examples, events, self.parts.as_of, self.champion.members)
            write_whole(known, members_file)
            by_members = {name: known[name].to_numpy() for name in self.champion.members}
        found = None
        if self.parts.by_features and not examples.is_empty():
            total, found = self.champion.explained_spend_given(examples, by_members)
        else:
            total = self.champion.spend_given(examples, by_members)
        assessment = assess_buyers(self.artifact, examples, total, found)
        if self.parts.by_features:
            return Scored(examples, assessment, reasons_for(self.artifact, examples, found))
        if self.parts.explain == "events":
            return Scored(examples, assessment, self._by_events(cutoffs, events, total))
        return Scored(examples, assessment, [])

    def _prospects(self, cutoffs: pl.DataFrame, events: pl.DataFrame) -> Scored:
        """Those who have not."""
        examples = examples_for(self.artifact, events, cutoffs)
        assessment = assess_prospects(self.artifact, examples)
        is_told = self.parts.explain is not None or self.parts.with_state
        return Scored(examples, assessment, prospect_reasons(examples) if is_told else [])

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
    data = read_data_manifest(parts.data)
    is_small = seconds_here(data, is_explained=parts.by_features) < START_SECONDS
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


def seconds_here(data: DataManifest, *, is_explained: bool = False) -> float:
    """About how long this process takes for the customers of an ingest folder, without encoders."""
    of_customer = SECONDS_PER_CUSTOMER + (SECONDS_PER_EXPLANATION if is_explained else 0.0)
    return of_customer * data.num_customers + SECONDS_PER_EVENT * data.num_events


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


def _scores(group: Scored, *, is_explained: bool) -> pl.DataFrame:
    """The columns of scores.parquet."""
    values = group.assessment.values
    scores = pl.DataFrame(
        {
            "customer_id": group.examples["customer_id"],
            "as_of": group.examples["cutoff"],
            "clv": values.clv,
            **{f"clv_{name}": ends for name, ends in bounds_of(values).items()},
            **numbers_of(values),
            **{name: label.astype(str) for name, label in group.assessment.labels.items()},
        }
    )
    if not is_explained:
        return scores
    return scores.with_columns(pl.Series("explanation", group.reasons, dtype=EXPLANATION))


def _answers(group: Scored, currency: str) -> pl.DataFrame:
    """The encoded answers of the service, by customer_id."""
    answers = value_answers(group.examples, group.assessment, group.reasons, currency)
    return pl.DataFrame(
        {
            "customer_id": group.examples["customer_id"],
            "answer": pl.Series([encoded(answer) for answer in answers], dtype=pl.Binary),
        }
    )
