"""Job: ingest folder to training, validation and test examples, point-in-time correct at every cutoff."""

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from lifecycle.events.history import KEYS, customers_at, outcomes, prospects_at
from lifecycle.events.schema import REVENUE_KINDS
from lifecycle.events.shards import DATA_KIND, read_items, read_shard, shard_paths
from lifecycle.features.categories import leading_categories, placed_items
from lifecycle.features.numbers import FEATURES, value_features
from lifecycle.features.prompts import PROMPT_VERSION, value_prompts
from lifecycle.features.sequence import SEQUENCE_VERSION
from lifecycle.features.standardisation import fit_standardisation
from lifecycle.folders import (
    FORMAT_VERSIONS,
    fingerprint,
    is_complete,
    new_folder,
    read_manifest,
    write_json,
)
from lifecycle.jobs import Progress
from training.prepare.dataset import BACKTEST, EXAMPLES_KIND, LATEST
from training.prepare.recipe import PrepareConfig, backtest_recipe, cutoffs_for, earlier_selection
from training.prepare.sequences import FOLDER as SEQUENCES
from training.prepare.sequences import read_sequences, training_customers, write_sequences
from training.prepare.splits import (
    LEAVE_ONE_OUT,
    PARTS,
    VALIDATION_PERCENT,
    fold_of,
    is_validation_customer,
    leave_one_out,
    merge_parts,
)

logger = logging.getLogger(__name__)
TIME_KEYS = (
    "test_cutoff", "horizon_days", "num_train_cutoffs", "train_cutoffs", "standardisation", "vocabulary", "backtest",
)  # fmt: skip


class TooFewCustomersError(ValueError):
    """A part of the examples has no rows."""


def prepare(config: PrepareConfig) -> None:
    """Write the examples folder; a complete one from the same recipe and data is left as it is."""
    data = read_manifest(config.data, DATA_KIND)
    identity = _identity(config, data)
    if is_complete(config.output, EXAMPLES_KIND, identity):
        logger.info("%s is complete already", config.output)
        return
    with new_folder(config.output, EXAMPLES_KIND, {"identity": identity}) as folder:
        facts = (
            _time_split(config, folder, data)
            if config.split == "time"
            else _leave_one_out(config, folder)
        )
        _describe(config, data, facts, folder)
    logger.info("%s: %s rows", config.output, facts["num_rows"])


def _identity(config: PrepareConfig, data: dict[str, object]) -> str:
    ignored = set(TIME_KEYS) if config.split == LEAVE_ONE_OUT else set()
    recipe = config.model_dump(mode="json", exclude={"output", "data", *ignored})
    versions = [FORMAT_VERSIONS[EXAMPLES_KIND], FEATURES, PROMPT_VERSION, SEQUENCE_VERSION]
    return fingerprint([recipe, data["identity"], *versions])


def _describe(
    config: PrepareConfig, data: dict[str, object], facts: dict[str, object], folder: Path
) -> None:
    config.save(folder / "prepare.yaml")
    content = facts | {
        "split": config.split,
        "data_identity": data["identity"],
        "seed": config.seed,
    }
    write_json(folder / "dataset.json", content)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _purchase_days(data: Path) -> tuple[date, date]:
    """First and last UTC day with a purchase."""
    spans = [
        pl.scan_parquet(path)
        .filter(pl.col("kind").is_in(REVENUE_KINDS) & pl.col("amount").is_not_null())
        .select(
            first=pl.col("occurred_at").min().dt.date(), last=pl.col("occurred_at").max().dt.date()
        )
        .collect()
        for path in shard_paths(data)
    ]
    first, last = pl.concat(spans).select(pl.col("first").min(), pl.col("last").max()).row(0)
    if first is None:
        raise ValueError(
            f"{data} has no purchases or renewals with an amount: there is no value to learn from"
        )
    return first, last


def _time_split(config: PrepareConfig, folder: Path, data: dict[str, object]) -> dict[str, object]:
    if config.train_cutoffs is not None and "num_train_cutoffs" in config.model_fields_set:
        logger.warning("num_train_cutoffs is ignored: the recipe gives train_cutoffs")
    first, last = _purchase_days(config.data)
    test, train = cutoffs_for(config, first, last)
    earlier = earlier_selection(config, first, train[-1])
    days = sorted({*train, test, earlier or test})
    items, paths = read_items(config.data), shard_paths(config.data)
    categories = leading_categories(_spend_on_items(paths, _midnight(days[0])), items)
    placed = placed_items(items, categories)
    progress = Progress("shards prepared", len(paths), "shards")
    files: dict[str, list[Path]] = {}
    for number, path in enumerate(paths):
        events = read_shard(path)
        rows = _shard_examples(events, items, placed, days, config)
        is_val, day = (
            is_validation_customer(rows["customer_id"], config.seed),
            rows["cutoff"].dt.date(),
        )
        split = {
            "train": rows.filter(~is_val & day.is_in(train)),
            "val": rows.filter(is_val & (day == train[-1])),
            "test": rows.filter(day == test),
            "prospects": _shard_prospects(events, placed, [*train, test], config),
            LATEST: _shard_latest(
                events, placed, test + timedelta(days=config.horizon_days), config
            ),
        }
        if earlier is not None:
            split["selection"] = rows.filter(is_val & (day == earlier))
        for part, part_rows in split.items():
            file = folder / f"{part}-{number}.parquet"
            part_rows.write_parquet(file)
            files.setdefault(part, []).append(file)
        progress.advance(1)
    write_sequences(config.data, items, _midnight(days[0]), config.vocabulary, folder / SEQUENCES)
    customers = training_customers(read_sequences(folder / SEQUENCES), train[-1], config.seed)
    num_rows = {
        part: merge_parts(part_files, folder / f"{part}.parquet")
        for part, part_files in files.items()
    }
    if not all(num_rows[part] for part in PARTS):
        raise TooFewCustomersError(
            f"too few customers: rows per part are {num_rows}, each part needs at least one"
        )
    return {
        "test_cutoff": str(test),
        "horizon_days": config.horizon_days,
        "train_cutoffs": [str(day) for day in train],
        "selection": {
            "windows": ["val"] if earlier is None else ["selection", "val"],
            "cutoff": str(train[-1]),
            "earlier_cutoff": None if earlier is None else str(earlier),
            "why": f"customers that no training row shows, {VALIDATION_PERCENT} % by stable hash"
            + (
                f"; the data begin too late for a disjoint earlier window: {first}"
                if earlier is None
                else ""
            ),
        },
        "features": list(FEATURES),
        "categories": categories,
        "standardisation": fit_standardisation(
            folder / "train.parquet", FEATURES, config.standardisation
        ).describe(),
        "prompt_version": PROMPT_VERSION,
        "sequence_version": SEQUENCE_VERSION,
        "num_rows": num_rows | {"train_customers": len(customers)},
        "backtest": _backtest(
            backtest_recipe(config, first, test, len(train)), first, data, folder
        ),
    }


def _backtest(
    recipe: PrepareConfig | None, first: date, data: dict[str, object], folder: Path
) -> dict[str, object]:
    """Write the examples of an earlier test cutoff below `folder`; says which it is, or why there is none."""
    nothing = {"test_cutoff": None, "horizon_days": None}
    if recipe is None:
        return nothing | {"why": f"not asked for, or the purchases begin too late: {first}"}
    logger.info(
        "the same for a backtest at %s, over %d days", recipe.test_cutoff, recipe.horizon_days
    )
    try:
        with new_folder(
            folder / BACKTEST, EXAMPLES_KIND, {"identity": _identity(recipe, data)}
        ) as inner:
            _describe(recipe, data, _time_split(recipe, inner, data), inner)
    except TooFewCustomersError as error:
        logger.warning("no backtest: %s", error)
        return nothing | {"why": str(error)}
    return {"test_cutoff": str(recipe.test_cutoff), "horizon_days": recipe.horizon_days}


def _leave_one_out(config: PrepareConfig, folder: Path) -> dict[str, object]:
    ignored = sorted(config.model_fields_set & set(TIME_KEYS))
    if ignored:
        logger.warning(
            "split leave_one_out goes by the order of purchases and ignores %s", ", ".join(ignored)
        )
    return leave_one_out(config.data, folder, config.seed)


def _spend_on_items(paths: list[Path], cutoff: datetime) -> pl.DataFrame:
    """item_id and amount before the cutoff."""
    is_known = (
        pl.col("kind").is_in(REVENUE_KINDS)
        & (pl.col("occurred_at") < cutoff)
        & pl.col("item_id").is_not_null()
    )
    lines = (
        pl.scan_parquet(path).filter(is_known).group_by("item_id").agg(pl.sum("amount"))
        for path in paths
    )
    return pl.concat([part.collect() for part in lines]).group_by("item_id").agg(pl.sum("amount"))


def _shard_examples(
    events: pl.DataFrame,
    items: pl.DataFrame,
    placed: pl.DataFrame,
    days: list[date],
    config: PrepareConfig,
) -> pl.DataFrame:
    """One row per customer and cutoff of a shard: keys, fold, outcomes, prompt, features."""
    cutoffs = pl.concat([customers_at(events, _midnight(day)) for day in days])
    features = value_features(events, cutoffs, config.horizon_days, placed)
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


def _shard_prospects(
    events: pl.DataFrame, placed: pl.DataFrame, days: list[date], config: PrepareConfig
) -> pl.DataFrame:
    """Keys, outcomes and features of those in a shard who were known at a cutoff, but had not bought yet."""
    cutoffs = pl.concat([prospects_at(events, _midnight(day)) for day in days])
    results = outcomes(events, cutoffs, config.horizon_days)
    return results.join(
        value_features(events, cutoffs, config.horizon_days, placed), on=KEYS, maintain_order="left"
    )


def _shard_latest(
    events: pl.DataFrame, placed: pl.DataFrame, day: date, config: PrepareConfig
) -> pl.DataFrame:
    """Keys and features of a shard's customers where the test customers' outcomes end, for `refit` of the arena."""
    return value_features(events, customers_at(events, _midnight(day)), config.horizon_days, placed)
