"""Job: customers for a campaign, chosen from scores.parquet by an SQL condition, as CSV."""

import logging
from pathlib import Path

from pydantic import Field

from lifecycle.config import Config
from lifecycle.folders import whole_file
from lifecycle.jobs import run_job

logger = logging.getLogger(__name__)
GROUP = "group"


class AudienceConfig(Config):
    """Recipe of `python -m training.audience`."""

    scores: Path  # the folder that training.score wrote
    where: str  # a condition on the columns of scores.parquet in polars' SQL
    columns: tuple[str, ...] = ("customer_id", "clv", "segment", "stage", "next_best_action")
    order_by: str = "clv"  # highest first
    limit: int | None = Field(None, ge=1)
    # Share that is left alone, so that what the campaign brings can be measured.
    holdout: float = Field(0.0, ge=0, lt=1)
    salt: str = "campaign"  # another one holds out others
    output: Path  # a CSV file


def audience(config: AudienceConfig) -> None:
    """Write the CSV, whole or not at all; with a holdout its column `group` says contact or holdout.

    Who is held out follows from the customer's id and the salt alone, so that it is the same in
    every export.
    """
    import polars as pl

    from lifecycle.events.shards import stable_hash
    from lifecycle.folders import read_manifest
    from training.score.recipe import SCORES_KIND, ScoresManifest

    read_manifest(config.scores, SCORES_KIND, ScoresManifest)
    scores = pl.read_parquet(config.scores / "scores.parquet")
    flat = [name for name, dtype in scores.schema.items() if not dtype.is_nested()]
    for key, names in (("columns", config.columns), ("order_by", (config.order_by,))):
        for name in names:
            if name not in flat:
                raise ValueError(
                    f"{key}: scores have no column {name!r} for CSV; columns are {', '.join(flat)}"
                )
            if names.count(name) > 1:
                raise ValueError(f"{key} names {name!r} twice")
    try:
        chosen = scores.filter(pl.sql_expr(config.where))
    except pl.exceptions.PolarsError as error:
        raise ValueError(
            f"where: {config.where!r} is no condition on the scores: {error}"
        ) from None
    if chosen.is_empty():
        raise ValueError(f"where: none of the {scores.height} customers fits {config.where!r}")
    chosen = chosen.sort(config.order_by, "customer_id", descending=[True, False], nulls_last=True)
    chosen = chosen.head(config.limit or chosen.height)
    found = chosen.select(config.columns)
    if config.holdout:
        is_held_out = stable_hash(chosen["customer_id"], config.salt) / 2.0**64 < config.holdout
        found = found.with_columns(
            pl.when(pl.Series(is_held_out))
            .then(pl.lit("holdout"))
            .otherwise(pl.lit("contact"))
            .alias(GROUP)
        )
    config.output.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(config.output) as unfinished:
        found.write_csv(unfinished)
    logger.info("%s: %d of %d customers", config.output, found.height, scores.height)


def main() -> None:
    """Entry point of `python -m training.audience`."""
    run_job(AudienceConfig.load, "training.audience", audience)


if __name__ == "__main__":
    main()
