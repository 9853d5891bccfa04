"""Customers for a campaign, chosen from scores.parquet by an SQL condition, as CSV and Parquet."""

import logging
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.erasure.current import require_current
from lifecycle.events.shards import stable_hash
from lifecycle.folders import read_manifest, whole_file
from training.audience.recipe import EXACT, AudienceConfig
from training.audience.spreadsheet import write_spreadsheet_csv
from training.score.recipe import SCORES_FILE, SCORES_KIND, ScoresManifest

logger = logging.getLogger(__name__)
GROUP = "group"


def audience(config: AudienceConfig) -> None:
    """Write CSV and Parquet, each whole or not at all; with a holdout their column `group` says contact or holdout.

    Who is held out follows from the customer's id and the salt alone, so that it is the same in
    every export.
    """
    manifest = read_manifest(config.scores, SCORES_KIND, ScoresManifest)
    require_current(config.scores, manifest.erasure)
    scores = pl.read_parquet(config.scores / SCORES_FILE)
    found = _chosen(scores, config)
    if config.output.is_dir():
        raise ValueError(f"output: {config.output} is a folder; name a CSV file in it")
    config.output.parent.mkdir(parents=True, exist_ok=True)
    _say_what_is_replaced(found, config.output)
    with whole_file(config.output.with_suffix(EXACT)) as unfinished:
        found.write_parquet(unfinished)
    num_changed = 0
    with whole_file(config.output) as unfinished:
        if config.spreadsheet_safe:
            num_changed = write_spreadsheet_csv(found, unfinished)
        else:
            found.write_csv(unfinished)
    logger.info(
        "%s: %d of %d customers; %d cells made safe for spreadsheets, exact in %s",
        config.output,
        found.height,
        scores.height,
        num_changed,
        config.output.with_suffix(EXACT).name,
    )


def _say_what_is_replaced(found: pl.DataFrame, output: Path) -> None:
    """A warning where another audience is there already: how many leave it, and how many join."""
    before = output.with_suffix(EXACT)
    if not before.exists():
        if output.exists():
            logger.warning("%s is replaced; no audience was written beside it", output)
        return
    earlier = pl.read_parquet(before)
    if earlier.equals(found):
        logger.info("%s had the same customers and values before", output)
        return
    if "customer_id" not in found.columns or "customer_id" not in earlier.columns:
        logger.warning(
            "%s is replaced: %d rows before, %d now", output, earlier.height, found.height
        )
        return
    joined = found.join(earlier, on="customer_id", how="anti").height
    left = earlier.join(found, on="customer_id", how="anti").height
    logger.warning(
        "%s is replaced: of %d customers before %d leave, and %d others join",
        output,
        earlier.height,
        left,
        joined,
    )


def _chosen(scores: pl.DataFrame, config: AudienceConfig) -> pl.DataFrame:
    """Those who fit the condition, highest first: the columns of the recipe, and the group where some are held out."""
    _check_columns(scores, config)
    try:
        chosen = scores.filter(pl.sql_expr(config.where))
    except pl.exceptions.PolarsError as error:
        told = str(error).partition("\n")[0]  # behind it polars draws the expression
        raise ValueError(f"where: {config.where!r} is no condition on the scores: {told}") from None
    if chosen.is_empty():
        raise ValueError(f"where: none of the {scores.height} customers fits {config.where!r}")
    chosen = chosen.sort(config.order_by, "customer_id", descending=[True, False], nulls_last=True)
    chosen = chosen.head(config.limit or chosen.height)
    found = chosen.select(config.columns)
    if not config.holdout:
        return found
    return found.with_columns(_groups(chosen["customer_id"], config))


def _check_columns(scores: pl.DataFrame, config: AudienceConfig) -> None:
    flat = [name for name, dtype in scores.schema.items() if not dtype.is_nested()]
    for key, names in (("columns", config.columns), ("order_by", (config.order_by,))):
        for name in names:
            if name not in flat:
                raise ValueError(
                    f"{key}: scores have no column {name!r} for CSV; columns are {', '.join(flat)}"
                )
            if names.count(name) > 1:
                raise ValueError(f"{key} names {name!r} twice")


def _groups(customer_ids: pl.Series, config: AudienceConfig) -> pl.Series:
    is_held_out = stable_hash(customer_ids, config.salt) / 2.0**64 < config.holdout
    return pl.Series(GROUP, np.where(is_held_out, "holdout", "contact"), dtype=pl.String)
