"""An ingest folder whose tables are clean already: what else tells of the erased customers."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import polars as pl

from lifecycle.config import Tree
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.events.shards import DataManifest, read_data_manifest, scan_shard, shard_path
from lifecycle.folders import write_json
from training.erase.tables import Sweep
from training.ingest.quality.account import money_of
from training.ingest.quality.orders.days import order_days
from training.ingest.quality.report import QUALITY_FILE
from training.ingest.quality.shard_counts import ShardCounts
from training.ingest.rules import ERASED
from training.results.quality import AlikeIds, Money, QualityReport

REFUNDS_FILE = "refunds.parquet"
PAGE_FILE = "quality.html"


def clean_data(source: Path, target: Path, sweep: Sweep) -> Tree:
    """Clean refunds and the quality report in `target`; returns what changes in the manifest."""
    manifest = read_data_manifest(source)
    events = _erased_events(source, manifest, sweep.ids)
    matched = _clean_refunds(target / REFUNDS_FILE, events["event_id"])
    changes: Tree = {
        "num_events": manifest.num_events - events.height,
        "num_customers": manifest.num_customers - events["customer_id"].n_unique(),
    }
    _clean_quality(target, events, matched, sweep, changes)
    return changes


def _erased_events(source: Path, manifest: DataManifest, ids: set[str]) -> pl.DataFrame:
    """The events of the erased customers, as the old folder has them."""
    is_theirs = pl.col("customer_id").is_in(list(ids))
    shards = [scan_shard(shard_path(source, number)) for number in range(manifest.num_shards)]
    found = [shard.filter(is_theirs).collect() for shard in shards]
    return pl.concat(
        [pl.DataFrame(schema=EVENT_SCHEMA), *(each.select(EVENT_SCHEMA.names()) for each in found)]
    )


def _clean_refunds(path: Path, event_ids: pl.Series) -> int:
    """Without the matches of refunds and purchases of erased customers; returns of how many refunds they were."""
    matches = pl.read_parquet(path)
    ids = event_ids.implode()
    is_theirs = pl.col("refund_id").is_in(ids) | pl.col("purchase_id").is_in(ids)
    path.unlink()  # the file may be the old folder's too
    matches.filter(~is_theirs).write_parquet(path)
    return matches.filter(is_theirs)["refund_id"].n_unique()


def _nameless(lines: Iterable[str], names: set[str]) -> Iterator[str]:
    """Lines without these names of customers and orders, which stand in them in quotes."""
    for line in lines:
        for name in names:
            line = line.replace(repr(name), ERASED)
        yield line


def _counts_left(report: QualityReport, events: pl.DataFrame, matched: int) -> Tree:
    """What the report counts in all events, without those of the erased."""
    theirs = ShardCounts()
    theirs.set_events(events, order_days(events), matched)
    fewer: dict[str, Mapping[str, float]] = {
        "events_by_kind": theirs.kinds,
        "customers_by_orders": theirs.orders_per_customer,
        "missing_values": theirs.missing,
        "lines_by_month": theirs.months,
        "revenue_by_month": theirs.revenue_by_month,
        "money_of_other_kinds": theirs.money_of_other_kinds,
    }
    left: Tree = {}
    for name, gone in fewer.items():
        left[name] = {key: one - gone.get(key, 0) for key, one in getattr(report, name).items()}
    refunds = report.refunds
    left["refunds"] = {
        "total": refunds.total - theirs.kinds["refund"],
        "matched": refunds.matched - matched,
    }
    left["total_discount"] = report.total_discount - theirs.total_discount
    left["total_cost"] = report.total_cost - theirs.total_cost
    return left


def _clean_quality(
    target: Path, events: pl.DataFrame, matched: int, sweep: Sweep, counts: Tree
) -> None:
    """The account goes on balancing; ids that served as examples go."""
    path = target / QUALITY_FILE
    report = QualityReport.model_validate_json(path.read_bytes())
    money = money_of(events)
    account = report.account
    before = account.dropped.get(ERASED, Money())
    dropped = account.dropped | {ERASED: before.plus(money)}
    left = {name: getattr(account.kept, name) - getattr(money, name) for name in Money.model_fields}
    kept = Money.model_validate(left)
    alike = report.alike_ids
    examples = {
        report.long_orders.example,
        report.orders_of_files.example,
        report.repeated_amounts.example,
    }
    orders = set(events["order_id"].drop_nulls())
    told: dict[str, object] = {
        "rows_kept": report.rows_kept - events.height,
        "rows_dropped": report.rows_dropped | {ERASED: dropped[ERASED].rows},
        "account": account.model_copy(update={"kept": kept, "dropped": dropped}),
        "heavy_customers": tuple(
            each for each in report.heavy_customers if each.customer_id not in sweep.ids
        ),
        "warnings": tuple(_nameless(report.warnings, sweep.ids | orders)),
        **counts,
    }
    if sweep.ids & set(alike.example):
        told["alike_ids"] = AlikeIds(ids=alike.ids)
    if examples & orders:
        for name in ("long_orders", "orders_of_files", "repeated_amounts"):
            told[name] = getattr(report, name).model_copy(update={"example": None})
    cleaned = report.model_copy(update=told)
    fewer = _counts_left(report, events, matched)
    cleaned = QualityReport.model_validate(cleaned.model_dump(mode="json") | fewer)
    path.unlink()
    write_json(path, cleaned.model_dump(mode="json"))
    if (target / PAGE_FILE).exists():
        from training.report.quality import write_quality_html  # which imports matplotlib

        (target / PAGE_FILE).unlink()
        write_quality_html(target / PAGE_FILE, cleaned)
