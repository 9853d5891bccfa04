"""Job: ingest folder to training, validation and test examples, point-in-time correct at every cutoff."""

import json
import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import Field, model_validator

from lifecycle.config import Config
from lifecycle.events import DATA_KIND, REVENUE_KINDS, read_items, read_shard, shard_paths
from lifecycle.features import FEATURES, value_features
from lifecycle.folders import fingerprint, is_complete, new_folder, read_manifest, write_json
from lifecycle.history import KEYS, customers_at, outcomes, prospects_at
from lifecycle.jobs import Progress, run_job
from lifecycle.prompts import PROMPT_VERSION, value_prompts
from lifecycle.sequence import SEQUENCE_VERSION
from lifecycle.standardisation import StandardisationRules, fit_standardisation
from lifecycle.vocabulary import VocabularyRules
from training.sequences import FOLDER as SEQUENCES
from training.sequences import read_sequences, training_customers, write_sequences
from training.splits import (
    LEAVE_ONE_OUT,
    PARTS,
    VALIDATION_PERCENT,
    fold_of,
    is_validation_customer,
    leave_one_out,
    merge_parts,
)

logger = logging.getLogger(__name__)
EXAMPLES_KIND = "examples"
TIME_KEYS = ("test_cutoff", "horizon_days", "num_train_cutoffs", "train_cutoffs", "standardisation", "vocabulary")


class PrepareConfig(Config):
    """Recipe of `python -m training.prepare`. Dates are UTC midnights."""

    data: Path
    split: Literal["time", "leave_one_out"] = "time"
    test_cutoff: date | None = None  # None: the latest whose horizon the data cover
    horizon_days: int = Field(90, ge=1, le=3660)
    num_train_cutoffs: int = Field(4, ge=1, le=60)
    train_cutoffs: tuple[date, ...] | None = None  # instead of num_train_cutoffs
    standardisation: StandardisationRules = StandardisationRules()
    vocabulary: VocabularyRules = VocabularyRules()  # of the sequence encoder
    seed: int = 0
    output: Path

    @model_validator(mode="after")
    def _train_before_test(self) -> "PrepareConfig":
        for cutoff in self.train_cutoffs or ():
            if self.test_cutoff and cutoff + timedelta(days=self.horizon_days) > self.test_cutoff:
                raise ValueError(
                    f"train_cutoffs: {cutoff} + {self.horizon_days} days ends after test_cutoff {self.test_cutoff}"
                )
        return self


def prepare(config: PrepareConfig) -> None:
    """Write the examples folder; a complete one from the same recipe and data is left as it is."""
    data = read_manifest(config.data, DATA_KIND)
    ignored = set(TIME_KEYS) if config.split == LEAVE_ONE_OUT else set()
    recipe = config.model_dump(mode="json", exclude={"output", "data", *ignored})
    identity = fingerprint([recipe, data["identity"], FEATURES, PROMPT_VERSION, SEQUENCE_VERSION])
    if is_complete(config.output, EXAMPLES_KIND, identity):
        logger.info("%s is complete already", config.output)
        return
    with new_folder(config.output, EXAMPLES_KIND, {"identity": identity}) as folder:
        config.save(folder / "prepare.yaml")
        facts = _time_split(config, folder) if config.split == "time" else _leave_one_out(config, folder)
        facts |= {"split": config.split, "data_identity": data["identity"], "seed": config.seed}
        write_json(folder / "dataset.json", facts)
    logger.info("%s: %s rows", config.output, facts["num_rows"])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _purchase_days(data: Path) -> tuple[date, date]:
    """First and last UTC day with a purchase."""
    spans = [
        pl.scan_parquet(path)
        .filter(pl.col("kind").is_in(REVENUE_KINDS) & pl.col("amount").is_not_null())
        .select(first=pl.col("occurred_at").min().dt.date(), last=pl.col("occurred_at").max().dt.date())
        .collect()
        for path in shard_paths(data)
    ]
    first, last = pl.concat(spans).select(pl.col("first").min(), pl.col("last").max()).row(0)
    if first is None:
        raise ValueError(f"{data} has no purchases or renewals with an amount: there is no value to learn from")
    return first, last


def cutoffs_for(config: PrepareConfig, first: date, last: date) -> tuple[date, list[date]]:
    """The test cutoff and the training cutoffs, oldest first; `first` and `last` are days with purchases.

    The latest training cutoff lies one horizon before the test cutoff; the others go back in equal steps of whole
    weeks to the day on which half of the time before it, at most one horizon, has passed. Where the dates allow it the
    oldest lies at least one horizon before the latest, so that what was learned from it can be tested there. Raises
    ValueError where the data are too short for the horizon.
    """
    horizon, end = timedelta(days=config.horizon_days), last + timedelta(days=1)
    test = config.test_cutoff or end - horizon
    if test + horizon > end:
        raise ValueError(
            f"horizon_days is {config.horizon_days} from test_cutoff {test}, but the purchases end on {last}: "
            f"the latest cutoff these data cover is {end - horizon}"
        )
    latest = test - horizon
    if config.train_cutoffs is not None:
        train = sorted(config.train_cutoffs)
        if not train or train[-1] > latest:
            raise ValueError(f"train_cutoffs must hold days up to {latest} (test_cutoff - horizon_days), not {train}")
    else:
        earliest = first + min(horizon, (latest - first) / 2)
        steps = max(config.num_train_cutoffs - 1, 1)
        step = timedelta(days=(latest - earliest).days // steps)
        step = max(timedelta(days=step.days // 7 * 7 or step.days), timedelta(days=1))
        train = sorted({latest - step * back for back in range(config.num_train_cutoffs)})
        if len(train) > 1 and earliest <= latest - horizon < train[0]:
            train[0] = latest - horizon
    if train[0] <= first:
        raise ValueError(
            f"horizon_days is {config.horizon_days}, but the purchases begin on {first}: a training cutoff on "
            f"{train[0]} has no history (first purchase to test_cutoff {test} must be longer than two horizons)"
        )
    return test, train


def earlier_selection(config: PrepareConfig, first: date, latest: date) -> date | None:
    """The cutoff of a second selection window, which ends where the validation window begins.

    None where less than one horizon of history would lie before it.
    """
    horizon = timedelta(days=config.horizon_days)
    return latest - horizon if latest - 2 * horizon >= first else None


def _time_split(config: PrepareConfig, folder: Path) -> dict[str, object]:
    if config.train_cutoffs is not None and "num_train_cutoffs" in config.model_fields_set:
        logger.warning("num_train_cutoffs is ignored: the recipe gives train_cutoffs")
    first, last = _purchase_days(config.data)
    test, train = cutoffs_for(config, first, last)
    earlier = earlier_selection(config, first, train[-1])
    days = sorted({*train, test, earlier or test})
    items = read_items(config.data)
    paths = shard_paths(config.data)
    progress = Progress("shards prepared", len(paths), "shards")
    files: dict[str, list[Path]] = {}
    for number, path in enumerate(paths):
        events = read_shard(path)
        rows = _shard_examples(events, items, days, config)
        is_val, day = is_validation_customer(rows["customer_id"], config.seed), rows["cutoff"].dt.date()
        split = {
            "train": rows.filter(~is_val & day.is_in(train)),
            "val": rows.filter(is_val & (day == train[-1])),
            "test": rows.filter(day == test),
            "prospects": _shard_prospects(events, [*train, test], config),
        }
        if earlier is not None:
            split["selection"] = rows.filter(is_val & (day == earlier))
        for part, part_rows in split.items():
            file = folder / f"{part}-{number}.parquet"
            part_rows.write_parquet(file)
            files.setdefault(part, []).append(file)
        progress.advance(1)
    write_sequences(config.data, items, _midnight(train[0]), config.vocabulary, folder / SEQUENCES)
    customers = training_customers(read_sequences(folder / SEQUENCES), train[-1], config.seed)
    num_rows = {part: merge_parts(part_files, folder / f"{part}.parquet") for part, part_files in files.items()}
    if not all(num_rows[part] for part in PARTS):
        raise ValueError(f"too few customers: rows per part are {num_rows}, each part needs at least one")
    return {
        "test_cutoff": str(test),
        "horizon_days": config.horizon_days,
        "train_cutoffs": [str(day) for day in train],
        "selection": {
            "windows": ["val"] if earlier is None else ["selection", "val"],
            "cutoff": str(train[-1]),
            "earlier_cutoff": None if earlier is None else str(earlier),
            "why": f"customers that no training row shows, {VALIDATION_PERCENT} % by stable hash"
            + (f"; the data begin too late for a disjoint earlier window: {first}" if earlier is None else ""),
        },
        "features": list(FEATURES),
        "standardisation": fit_standardisation(folder / "train.parquet", FEATURES, config.standardisation).describe(),
        "prompt_version": PROMPT_VERSION,
        "sequence_version": SEQUENCE_VERSION,
        "num_rows": num_rows | {"train_customers": len(customers)},
    }


def _leave_one_out(config: PrepareConfig, folder: Path) -> dict[str, object]:
    ignored = sorted(config.model_fields_set & set(TIME_KEYS))
    if ignored:
        logger.warning("split leave_one_out goes by the order of purchases and ignores %s", ", ".join(ignored))
    return leave_one_out(config.data, folder, config.seed)


def _shard_examples(events: pl.DataFrame, items: pl.DataFrame, days: list[date], config: PrepareConfig) -> pl.DataFrame:
    """One row per customer and cutoff of a shard: keys, fold, outcomes, prompt, features."""
    cutoffs = pl.concat([customers_at(events, _midnight(day)) for day in days])
    features = value_features(events, cutoffs, config.horizon_days)
    prompts = value_prompts(events, features, items)
    results = outcomes(events, cutoffs, config.horizon_days)
    return pl.concat(
        [
            cutoffs.with_columns(fold_of(cutoffs["customer_id"], config.seed).alias("fold")),
            results.drop("customer_id", "cutoff"),
            prompts.select("prompt"),
            features.select(FEATURES),
        ],
        how="horizontal",
    )


def _shard_prospects(events: pl.DataFrame, days: list[date], config: PrepareConfig) -> pl.DataFrame:
    """Keys, outcomes and features of those in a shard who were known at a cutoff, but had not bought yet."""
    cutoffs = pl.concat([prospects_at(events, _midnight(day)) for day in days])
    results = outcomes(events, cutoffs, config.horizon_days)
    return results.join(value_features(events, cutoffs, config.horizon_days), on=KEYS, maintain_order="left")


def read_dataset(examples: Path) -> dict[str, object]:
    """dataset.json of a complete examples folder."""
    read_manifest(examples, EXAMPLES_KIND)
    facts: dict[str, object] = json.loads((examples / "dataset.json").read_text())
    return facts


def main() -> None:
    """Entry point of `python -m training.prepare`."""
    run_job(PrepareConfig, "training.prepare", prepare)


if __name__ == "__main__":
    main()
