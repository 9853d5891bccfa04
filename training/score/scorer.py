"""scores.parquet: an artifact's answers for all customers of an ingest folder, part by part.

A part is a shard of the events, or some of its customers where there are few shards. Workers of Ray
Data score parts, each into a file that appears whole; what is there already is not scored again.
Small shops are scored without Ray.
"""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from lifecycle.artifact.answers import (
    examples_for,
    expected_spend,
    labels_for,
    prospect_reasons,
    prospect_values_for,
    reasons_for,
    values_for,
)
from lifecycle.artifact.contents import Artifact
from lifecycle.artifact.files import load_artifact
from lifecycle.artifact.leave_out import event_effects
from lifecycle.events.history import customers_at, prospects_at
from lifecycle.events.shards import (
    DataManifest,
    read_data_manifest,
    read_shard,
    shard_numbers,
    shard_paths,
)
from lifecycle.features.attributes import read_customers
from lifecycle.jobs import Progress
from lifecycle.spend.contributions import Reason
from lifecycle.value.clv import CustomerValues
from training.score.member_cache import MEMBERS_FILE, MemberCache, empty_cache

if TYPE_CHECKING:
    from lifecycle.llama.predict import MemberPredictor

MIN_PARTS = 8
EVENTS = "events"
EXPLANATION = pl.List(pl.Struct({"feature": pl.String, "value": pl.Float64, "effect": pl.Float64}))
FEW_EVENTS = 500_000  # scored in the time that Ray takes to start
PART_SCHEMA = pa.schema({"shard": pa.int64(), "piece": pa.int64()})
NUMBERS = ("revenue", "refunds", "goods_cost", "service_cost", "marketing_cost", "discounting", "annual_discount_rate",
           "expected_orders", "expected_order_value", "p_active", "churn_probability")  # fmt: skip


def as_of_instant(given: datetime | date | None, data: DataManifest) -> datetime:
    """The instant or midnight asked for in UTC, or the instant just after the last event of the data."""
    if isinstance(given, datetime):
        return given.astimezone(UTC)
    if given is not None:
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return data.last_event_at + timedelta(microseconds=1)


@dataclass(frozen=True)
class Batch:
    """What is scored: by which artifact, which customers, at which instant; parts are kept in `parts` until all are."""

    artifact: Path
    data: Path
    as_of: datetime
    parts: Path
    explain: str | None = None  # by features or by events
    previous: Path | None = None
    max_age_days: int = 0

    @property
    def pieces(self) -> int:
        """Parts of one shard, so that there are at least MIN_PARTS in all."""
        return -(-MIN_PARTS // len(shard_paths(self.data)))

    def numbers(self) -> list[tuple[int, int]]:
        """Shard and piece of every part."""
        return list(product(range(len(shard_paths(self.data))), range(self.pieces)))

    def missing(self) -> list[tuple[int, int]]:
        """Those of the parts that are not there yet."""
        return [number for number in self.numbers() if not self.file(*number).exists()]

    def file(self, shard: int, piece: int) -> Path:
        """Where the scores of a part go."""
        return self.parts / f"{shard:05d}-{piece}.parquet"

    def members_file(self, shard: int, piece: int) -> Path:
        """Where what the encoders expect of a part goes."""
        return self.parts / f"members-{shard:05d}-{piece}.parquet"

    def cache(self, names: list[str]) -> MemberCache:
        """What the encoders of these names expected when customers were scored before."""
        file = None if self.previous is None else self.previous / MEMBERS_FILE
        if file is None or not file.exists():
            return empty_cache(names)
        return MemberCache(pl.read_parquet(file), self.max_age_days)


class Scorer:
    """Holds an artifact, with the LLaMA encoders that its champion is or holds, on one core."""

    def __init__(self, batch: Batch) -> None:
        self.batch, self.artifact = batch, load_artifact(batch.artifact)
        self.members = {
            name: _load(folder, self.artifact.items)
            for name, folder in self.artifact.members.items()
        }
        self.cache = batch.cache(list(self.members))
        self.registered = read_customers(batch.data)

    def __call__(self, parts: pa.Table) -> pa.Table:
        """For Ray Data: scores the parts named by the columns shard and piece."""
        for part in parts.to_pylist():
            self.score(part["shard"], part["piece"])
        return parts

    def score(self, shard: int, piece: int) -> None:
        """Write the scores of one part."""
        artifact, batch = self.artifact, self.batch
        paths = shard_paths(batch.data)
        events, registered = (
            rows.filter(
                shard_numbers(rows["customer_id"], len(paths) * batch.pieces)
                == shard + piece * len(paths)
            )
            for rows in (read_shard(paths[shard]), self.registered)
        )
        cutoffs = [
            rows.join(registered, on="customer_id", how="left", maintain_order="left")
            for rows in (
                customers_at(events, batch.as_of),
                _prospects(events, registered["customer_id"], batch.as_of),
            )
        ]
        buyers, prospects = (examples_for(artifact, events, rows) for rows in cutoffs)
        spend: dict[str, np.ndarray] = {}
        if self.members:
            known = self.cache.spend(buyers, events, batch.as_of, self.members)
            _write(known, batch.members_file(shard, piece))
            spend = {name: known[name].to_numpy() for name in self.members}
        total = expected_spend(artifact, artifact.settings.champion, buyers, spend)
        scores = pl.concat([
            _scores(artifact, buyers, values_for(artifact, buyers, total)),
            _scores(artifact, prospects, prospect_values_for(artifact, prospects)),
        ])  # fmt: skip
        if batch.explain:
            by_events = batch.explain == EVENTS
            reasons = (
                self._by_events(cutoffs[0], events, total)
                if by_events
                else reasons_for(artifact, buyers)
            )
            reasons += prospect_reasons(prospects)
            scores = scores.with_columns(pl.Series("explanation", reasons, dtype=EXPLANATION))
        _write(scores.sort("customer_id"), batch.file(shard, piece))

    def _by_events(
        self, buyers: pl.DataFrame, events: pl.DataFrame, total: np.ndarray
    ) -> list[list[Reason]]:
        """Which events moved the prediction of each buyer, from their cutoffs and what the table says of them."""
        own = {
            str(customer): rows
            for (customer,), rows in events.group_by("customer_id", maintain_order=True)
        }
        return [
            event_effects(self.artifact, self._spend, own[customer], buyers[row], total[row])
            for row, customer in enumerate(buyers["customer_id"])
        ]

    def _spend(self, examples: pl.DataFrame, events: pl.DataFrame) -> np.ndarray:
        by_members = {name: member(examples, events) for name, member in self.members.items()}
        return expected_spend(self.artifact, self.artifact.settings.champion, examples, by_members)


def _write(rows: pl.DataFrame, file: Path) -> None:
    """The file appears whole."""
    unfinished = file.with_suffix(".incomplete")
    rows.write_parquet(unfinished)
    os.replace(unfinished, file)


def score_parts(batch: Batch, num_workers: int) -> None:
    """Score the parts that are missing, by as many workers; small shops without an encoder in this process."""
    missing = batch.missing()
    if not missing:
        return
    num_events = read_data_manifest(batch.data).num_events
    if num_workers == 1 or (num_events < FEW_EVENTS and not load_artifact(batch.artifact).members):
        scorer, progress = Scorer(batch), Progress("parts scored", len(missing), "parts")
        for shard, piece in missing:
            scorer.score(shard, piece)
            progress.advance(1)
    else:
        from training.distributed.map import map_rows

        parts = pa.Table.from_pylist(
            [{"shard": shard, "piece": piece} for shard, piece in missing], PART_SCHEMA
        )
        label = {"label": "parts scored", "unit": "parts"}
        map_rows(parts, Scorer, {"batch": batch}, **label, num_workers=num_workers, block_rows=1)


def merge_parts(batch: Batch, folder: Path) -> int:
    """Write scores.parquet into `folder`, and what encoders expect; returns the number of customers.

    ValueError where nobody is known yet.
    """
    members = [file for number in batch.numbers() if (file := batch.members_file(*number)).exists()]
    if members:
        pl.scan_parquet(members).sink_parquet(folder / MEMBERS_FILE)
    pl.scan_parquet([batch.file(*number) for number in batch.numbers()]).sink_parquet(
        folder / "scores.parquet"
    )
    num_customers = int(
        pl.scan_parquet(folder / "scores.parquet").select(pl.len()).collect().item()
    )
    if num_customers == 0:
        shutil.rmtree(batch.parts)
        raise ValueError(
            f"{batch.data} has no customer with an event before {batch.as_of.isoformat()}"
        )
    return num_customers


def _prospects(events: pl.DataFrame, registered: pl.Series, as_of: datetime) -> pl.DataFrame:
    """Cutoffs of those who are known by then, but have not bought: by an event, or registered and never seen."""
    known = prospects_at(events, as_of)
    silent = pl.DataFrame({"customer_id": registered, "cutoff": as_of}, schema=known.schema)
    silent = silent.join(events, on="customer_id", how="anti")
    return pl.concat([known, silent])


def _load(member: Path, items: pl.DataFrame) -> "MemberPredictor":
    from lifecycle.llama.predict import (
        load_member,
    )  # imports torch, which the cheap models do without

    return load_member(member, items)


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
