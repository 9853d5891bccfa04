"""quality.json: what ingest kept, dropped and found, and the verdict which models these data can support."""

import math
from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from lifecycle.events.gaps import gaps_of
from lifecycle.names import BTYD_MODELS, PERSISTENCE
from lifecycle.spend.support import LEARNERS, value_model_rules
from training.ingest.quality.account import Account
from training.ingest.quality.read_counts import ReadCounts
from training.ingest.quality.shard_counts import ORDER_GROUPS, Finished, ShardCounts
from training.results.quality import (
    Duplicates,
    Matches,
    ModelSupport,
    Outliers,
    QualityReport,
    Refunds,
    SalesGap,
    UnknownItems,
)
from training.results.sums import S, add_each

QUALITY_FILE = "quality.json"
MIN_ITEMS = 20  # of a catalogue to recommend from
AS_COUNTED = (  # fields of ShardCounts that quality.json has under the same names
    "far_dates",
    "long_orders",
    "orders_of_files",
    "repeated_amounts",
    "repeated_values",
    "at_one_time",
    "with_sums",
    "total_discount",
    "total_cost",
    "amounts_by_quantity",
    "free_plans",
    "unplanned_renewals",
)


def quality_report(
    read: ReadCounts,
    finished: Finished,
    currency: str,
    items: pl.DataFrame,
    sources: Sequence[str] = (),
) -> QualityReport:
    """What quality.json says, of these `sources`. Raises ValueError where nothing is left."""
    counts = finished.counts
    whole = Account()
    whole.add(read.account)
    whole.add(counts.account)
    dropped = rows_dropped(whole)
    if counts.first_event_at is None or counts.last_event_at is None:
        raise ValueError(f"no usable event is left: {dropped}")
    account = whole.balanced()
    days = (counts.last_event_at - counts.first_event_at).days + 1
    fence = None if math.isinf(finished.fence) else finished.fence
    outliers = Outliers(total=counts.num_outliers, revenue=counts.outlier_revenue, fence=fence)
    return QualityReport(
        num_rows_read=account.read.rows,
        num_events=counts.num_events,
        num_customers=counts.num_customers,
        num_items=items.height,
        currency=currency,
        first_event_at=counts.first_event_at.isoformat(),
        last_event_at=counts.last_event_at.isoformat(),
        days=days,
        rows_read=dict(read.rows_read),
        rows_kept=counts.num_events,
        rows_dropped=dropped,
        duplicates=_duplicates(dropped, counts),
        refunds=Refunds(total=counts.kinds["refund"], matched=counts.num_refunds_matched),
        outliers=outliers,
        events_by_kind=dict(counts.kinds.most_common()),
        customers_by_orders={name: counts.orders_per_customer[name] for name in ORDER_GROUPS},
        missing_values=dict(counts.missing),
        items_without_title=_untitled(items),
        items_with_conflicting_rows=read.num_conflicting_items,
        unknown_to_catalogue=_unknown(counts),
        lines_by_month=dict(sorted(counts.months.items())),
        revenue_by_month=dict(sorted(counts.revenue_by_month.items())),
        models=_verdicts(counts, days, items),
        matches=_matches(read, counts),
        account=account,
        tables=read.tables,
        currencies=read.currencies,
        heavy_customers=finished.heavy,
        orders_half_dropped=dict(counts.orders_half_dropped),
        alike_ids=finished.alike,
        orders_of_sources=_by_path(sources, counts.orders_of_sources),
        refunds_named=counts.num_refunds_named,
        replaced_items=counts.num_replaced_items,
        money_of_other_kinds=dict(counts.money_of_other_kinds),
        customers_of_sources=_by_path(sources, counts.of_sources),
        amounts_as_zero=read.num_amounts_as_zero,
        gaps=_gaps(counts.buyers_by_day),
        files_not_read=tuple(read.files_not_read),
        **{name: getattr(counts, name) for name in AS_COUNTED},
    )


def _gaps(buyers_by_day: Mapping[date, int]) -> tuple[SalesGap, ...]:
    return tuple(
        SalesGap(first=str(gap.first), last=str(gap.last), days=gap.num_days)
        for gap in gaps_of(buyers_by_day)
        if not gap.comes_again
    )


def _unknown(counts: ShardCounts) -> UnknownItems:
    lines = counts.unknown_items
    return UnknownItems(items=len(lines), lines=lines.total())


def _duplicates(dropped: dict[str, int], counts: ShardCounts) -> Duplicates:
    return Duplicates(
        dropped_exact=dropped.get("exact_duplicate", 0),
        dropped_same_id=dropped.get("duplicate_event_id", 0),
        kept_equal=counts.num_equal_events,
        kept_equal_revenue=counts.equal_revenue,
    )


def _by_path(sources: Sequence[str], found: Mapping[int, S]) -> dict[str, S]:
    """What was found of sources, by number; those of one path together."""
    together: dict[str, S] = {}
    for number, one in found.items():
        add_each(together, {sources[number]: one})
    return together


def _matches(read: ReadCounts, counts: ShardCounts) -> dict[str, Matches]:
    """By table: the lookups, items and customers.

    Where the table of customers has fewer rows than there are customers, as many as it has can be
    found at most.
    """
    matches = dict(read.matches)
    if counts.item_matches is not None:
        matches["items"] = counts.item_matches
    if counts.customer_matches is not None:
        found = counts.customer_matches
        most = min(found.rows, read.tables["customers"].kept)
        matches["customers"] = Matches(rows=most, matched=found.matched)
    return matches


def rows_dropped(account: Account) -> dict[str, int]:
    """How many rows were left out, by reason."""
    return {reason: money.rows for reason, money in account.dropped.items() if money.rows}


def _verdicts(counts: ShardCounts, days: int, items: pl.DataFrame) -> dict[str, ModelSupport]:
    """Which models these data can support, each with the rule and the number that decided."""
    paid = counts.num_paid_lines
    titled = items.height - _untitled(items)
    with_cost = counts.num_service_costs
    enough_items = (items.height >= MIN_ITEMS, f"needs {MIN_ITEMS} items: {items.height}")
    enough_titles = (titled >= MIN_ITEMS, f"needs {MIN_ITEMS} items with a title: {titled}")
    rules = {
        **value_model_rules(counts.num_customers, counts.num_repeat_customers, days),
        "recommendation": enough_items,
        "text_llama_rerank": enough_titles,
        "service_cost": (with_cost > 0, f"needs events of service with a cost: {with_cost}"),
    }
    if not paid:
        unpaid = (False, f"needs purchases with an amount: {paid} lines")
        rules |= dict.fromkeys((PERSISTENCE, *BTYD_MODELS, *LEARNERS), unpaid)
    verdicts = {}
    for name, (holds, reason) in rules.items():
        verdicts[name] = ModelSupport(supported=bool(holds), reason=reason)
    return verdicts


def _untitled(items: pl.DataFrame) -> int:
    return int(items["title"].is_null().sum())
