"""The log of events that came over HTTP, as a source beside the tables of an export.

What reads the log is imported where a recipe names one: SQLAlchemy would take a quarter of a second
of every other ingest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
from pydantic import PlainSerializer, field_validator

from lifecycle.config import Config
from lifecycle.events.log_position import IN_EXPORT, IN_LOG, UNDECIDED, LogPosition, overlap
from lifecycle.events.schema import KINDS, with_shop_days
from training.ingest.quality.shard_counts import ShardCounts
from training.ingest.sources import Source
from training.ingest.tables.batches import ParsedRows
from training.ingest.tables.rows import ROW

if TYPE_CHECKING:
    from lifecycle.log.database import Log

EVENTS_PER_SHARD = 100_000


def shown_url(url: str) -> str:
    """The URL of a log without its password."""
    from lifecycle.log import database

    return database.shown_url(url)


def checked_url(url: str) -> str:
    """A URL that may be one of a log; ValueError for any other."""
    from lifecycle.log import database

    database.parse_url(url)
    return url


class LoggedEvents(Config):
    """`log` of the recipe. Where an export has the same orders under other ids, it holds up to a day, by kind."""

    # A password is not written where the recipe is saved.
    url: Annotated[str, PlainSerializer(shown_url, when_used="json")]
    export_holds_until: dict[
        str, date
    ] = {}  # by kind, the last day of the shop; then the log holds

    @field_validator("url")
    @classmethod
    def _is_one_of_a_log(cls, url: str) -> str:
        return checked_url(url)

    @field_validator("export_holds_until")
    @classmethod
    def _kinds_exist(cls, until: dict[str, date]) -> dict[str, date]:
        for kind in until:
            if kind not in KINDS:
                raise ValueError(f"{kind!r} is no kind; kinds are {', '.join(KINDS)}")
        return until

    @property
    def source(self) -> Source:
        """How the log stands among the sources."""
        from lifecycle.log.schema import CONTENT

        columns = {name: name for name in CONTENT}
        path = shown_url(self.url)
        return Source.model_validate({"path": path, "format": "parquet", "columns": columns})

    @property
    def file(self) -> Path:
        """Its name among the files that are read."""
        return Path(shown_url(self.url))


@dataclass(frozen=True)
class LogPart:
    """A log up to the sequence number that it had when the job began."""

    log: "Log"
    position: LogPosition

    @property
    def num_shards(self) -> int:
        """Shards for its events."""
        return -(-self.position.sequence // EVENTS_PER_SHARD)


def log_part(recipe: LoggedEvents | None, key: Path | None = None) -> LogPart | None:
    """What of its log a recipe reads, if it names one; ValueError where the log cannot be read.

    `key` is that of its tombstones.
    """
    if recipe is None:
        return None
    from lifecycle.log.opening import open_log
    from lifecycle.log.problems import LogUnavailable
    from lifecycle.log.reader import last_sequence

    log = open_log(recipe.url, key)
    try:
        sequence = last_sequence(log)
    except LogUnavailable as error:
        raise ValueError(f"log {shown_url(recipe.url)}: {error}") from None
    held = recipe.export_holds_until
    return LogPart(
        log, LogPosition(identity=log.identity, sequence=sequence, export_holds_until=held)
    )


def log_batches(recipe: LoggedEvents, part: LogPart, timezone: str) -> Iterator[ParsedRows]:
    """The events of a log in batches, with the shop's days of a zone; nothing of it needs parsing."""
    from lifecycle.log.reader import pages

    offset = 1
    for page in pages(part.log, 0, part.position.sequence):
        rows = with_shop_days(page, timezone).with_row_index(ROW, offset)
        offset += page.height
        yield ParsedRows(recipe.file, rows, page.height, {}, [])


def without_overlaps(
    events: pl.DataFrame, is_log: pl.Expr, recipe: LoggedEvents, counts: ShardCounts
) -> pl.DataFrame:
    """The events of a shard, each order of log and export once; what is left out is counted with its money.

    ValueError where the recipe does not say for a kind which of the two holds.
    """
    in_log = events.filter(is_log)["customer_id"].unique()
    theirs = events.filter(pl.col("customer_id").is_in(in_log.implode()))
    reason = overlap(is_log, recipe.export_holds_until).alias("overlap")
    told_twice = theirs.with_columns(reason).drop_nulls("overlap")
    undecided = told_twice.filter((pl.col("overlap") == UNDECIDED) & is_log)
    if undecided.height:
        raise ValueError(_question(undecided))
    for name in (IN_EXPORT, IN_LOG):
        counts.account.drop(name, told_twice.filter(pl.col("overlap") == name))
    return events.join(told_twice, on="event_id", how="anti", maintain_order="left")


def _question(undecided: pl.DataFrame) -> str:
    """What the recipe must say."""
    kind = undecided["kind"][0]
    rows = undecided.filter(pl.col("kind") == kind)
    last = rows["occurred_at"].sort()[-1].date()
    return (
        f"log and sources both tell {rows.height} or more events of kind {kind}, worth {rows['amount'].sum():.2f}, "
        f"such as order {rows['order_id'][0]!r} of customer {rows['customer_id'][0]!r}: say until which day "
        f"the export holds, and from then on the log, as in log.export_holds_until.{kind}: {last}"
    )
