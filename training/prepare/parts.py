"""The parts of examples that are split by time, written shard by shard."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.events.history import KEYS, customers_at, outcomes, prospects_at
from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import read_items, read_shard, shard_paths
from lifecycle.features.categories import leading_categories, placed_items
from lifecycle.features.money import money_unit
from lifecycle.features.numbers import FEATURES, value_features
from lifecycle.features.prompts import value_prompts
from lifecycle.features.standing import standings
from lifecycle.jobs import Progress
from training.prepare.cutoffs import Cutoffs
from training.prepare.dataset import LATEST
from training.prepare.recipe import PrepareConfig
from training.prepare.sequences import FOLDER as SEQUENCES
from training.prepare.sequences import write_sequences
from training.prepare.splits import PARTS, fold_of, is_validation_customer, merge_parts


class TooFewCustomersError(ValueError):
    """A part of the examples has no rows."""


@dataclass(frozen=True)
class WrittenParts:
    """What was written, and what was found on the way."""

    num_rows: dict[str, int]  # by part
    categories: tuple[str, ...]  # the leading ones
    money_unit: float


def write_parts(config: PrepareConfig, cutoffs: Cutoffs, folder: Path) -> WrittenParts:
    """Write every part and the sequences.

    Raises TooFewCustomersError where training, validation or test would have no rows.
    """
    items = read_items(config.data)
    start = _midnight(cutoffs.all[0])
    categories = leading_categories(_spend_on_items(config.data, start), items)
    placed = placed_items(items, categories)
    unit = money_unit(_amounts_before(config.data, start))
    files = _write_shards(config, cutoffs, items, placed, unit, folder)
    write_sequences(config.data, items, start, config.vocabulary, unit, folder / SEQUENCES)
    num_rows = {}
    for part, part_files in files.items():
        num_rows[part] = merge_parts(part_files, folder / f"{part}.parquet")
    if not all(num_rows[part] for part in PARTS):
        raise TooFewCustomersError(
            f"too few customers: rows per part are {num_rows}, each part needs at least one"
        )
    return WrittenParts(num_rows, tuple(categories), unit)


def _write_shards(
    config: PrepareConfig,
    cutoffs: Cutoffs,
    items: pl.DataFrame,
    placed: pl.DataFrame,
    unit: float,
    folder: Path,
) -> dict[str, list[Path]]:
    """The rows of each shard in files of their own, by part."""
    paths = shard_paths(config.data)
    progress = Progress("shards prepared", len(paths), "shards")
    files: dict[str, list[Path]] = {}
    for number, path in enumerate(paths):
        events = read_shard(path)
        rows = _examples(events, items, placed, unit, cutoffs.all, config)
        is_validation = is_validation_customer(rows["customer_id"], config.seed)
        day = rows["cutoff"].dt.date()
        parts = {
            "train": rows.filter(~is_validation & day.is_in(cutoffs.train)),
            "val": rows.filter(is_validation & (day == cutoffs.train[-1])),
            "test": rows.filter(day == cutoffs.test),
            "prospects": _prospects(events, placed, cutoffs, config),
            LATEST: _latest(events, placed, cutoffs, config),
        }
        if cutoffs.earlier is not None:
            parts["selection"] = rows.filter(is_validation & (day == cutoffs.earlier))
        for part, part_rows in parts.items():
            file = folder / f"{part}-{number}.parquet"
            part_rows.write_parquet(file)
            files.setdefault(part, []).append(file)
        progress.advance(1)
    return files


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _spend_on_items(data: Path, cutoff: datetime) -> pl.DataFrame:
    """item_id and amount before the cutoff."""
    is_known = is_purchase() & (pl.col("occurred_at") < cutoff) & pl.col("item_id").is_not_null()
    parts = []
    for path in shard_paths(data):
        lines = pl.scan_parquet(path).filter(is_known)
        parts.append(lines.group_by("item_id").agg(pl.sum("amount")).collect())
    return pl.concat(parts).group_by("item_id").agg(pl.sum("amount"))


def _amounts_before(data: Path, cutoff: datetime) -> Iterator[np.ndarray]:
    """The amounts of purchases before a cutoff, shard by shard."""
    is_known = is_purchase() & (pl.col("occurred_at") < cutoff)
    for path in shard_paths(data):
        amounts = pl.scan_parquet(path).filter(is_known).select(pl.col("amount").drop_nulls())
        yield amounts.collect()["amount"].to_numpy()


def _examples(
    events: pl.DataFrame,
    items: pl.DataFrame,
    placed: pl.DataFrame,
    unit: float,
    days: list[date],
    config: PrepareConfig,
) -> pl.DataFrame:
    """One row per customer and cutoff of a shard: keys, fold, outcomes, prompt, features."""
    keys = pl.concat([customers_at(events, _midnight(day)) for day in days])
    features = value_features(events, keys, config.horizon_days, placed)
    prompts = value_prompts(events, features, items, unit)
    results = outcomes(events, keys, config.horizon_days)
    fold = fold_of(keys["customer_id"], config.seed).alias("fold")
    columns = [
        keys.with_columns(fold),
        results.drop(KEYS),
        prompts.select("prompt"),
        features.select(FEATURES),
        standings(events, keys),
    ]
    return pl.concat(columns, how="horizontal")


def _prospects(
    events: pl.DataFrame, placed: pl.DataFrame, cutoffs: Cutoffs, config: PrepareConfig
) -> pl.DataFrame:
    """Keys, outcomes and features of those in a shard who were known at a cutoff, but had not bought yet."""
    keys = pl.concat(
        [prospects_at(events, _midnight(day)) for day in [*cutoffs.train, cutoffs.test]]
    )
    results = outcomes(events, keys, config.horizon_days)
    features = value_features(events, keys, config.horizon_days, placed)
    features = features.with_columns(standings(events, keys))
    return results.join(features, on=KEYS, maintain_order="left")


def _latest(
    events: pl.DataFrame, placed: pl.DataFrame, cutoffs: Cutoffs, config: PrepareConfig
) -> pl.DataFrame:
    """Keys and features of a shard's customers where the test customers' outcomes end, for `refit` of the arena."""
    end = cutoffs.test + timedelta(days=config.horizon_days)
    keys = customers_at(events, _midnight(end))
    features = value_features(events, keys, config.horizon_days, placed)
    return features.with_columns(standings(events, keys))
