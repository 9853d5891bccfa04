"""The last lines of ingest's log: what was left out, and what the data cannot support."""

import logging
import math
from collections.abc import Iterable, Iterator

from training.ingest.quality.orders.told import LONG_ORDERS, warnings_of_orders
from training.results.quality import HeavyCustomer, Money, MoneyAccount, QualityReport

logger = logging.getLogger(__name__)
OUTLIERS = 0.2  # of all revenue, more of which is told
MOST_OF_REVENUE = {"discounts": 1.0, "costs": 5.0}  # times, more of which are told
CONFLICTING = 0.1  # of all items, more of which are told
OTHER_RATES = 100  # times another's, as which average purchases of a currency are told
FOUND = 0.9  # of the rows that ask a lookup or the item table, fewer of which are told
SHOWN = ("view", "cart", "search", "impression", "click")  # whose amounts are prices
MIN_STRANGERS = 10  # customers of a source, of whom one should have bought
MAX_NAMED = 20  # customers that the log names
MAX_REASONS = 3  # that the log names; quality.json has all


def log_summary(report: QualityReport, warnings: Iterable[str]) -> None:
    """The reasons for which most was left out, in rows or money, and which models the data cannot support.

    `warnings` are the `warnings_of` the report.
    """
    account = report.account
    worst = sorted(account.dropped, key=lambda reason: -_share(account, reason))[:MAX_REASONS]
    reasons = [_in_words(reason, account.dropped[reason], report.currency) for reason in worst]
    total = sum(report.rows_dropped.values())
    logger.info(
        "%d of %d rows left out: %s", total, account.read.rows, "; ".join(reasons) or "none"
    )
    for line in warnings:
        logger.warning("%s", line)
    lacking: dict[str, list[str]] = {}
    for name, support in report.models.items():
        if not support.supported:
            lacking.setdefault(support.reason, []).append(name)
    for rule, names in lacking.items():
        logger.info("the data do not support %s: %s", ", ".join(names), rule)


def warnings_of(report: QualityReport) -> Iterator[str]:
    """What was found in the data that their owner should look at, a line each."""
    for reason, orders in report.orders_half_dropped.items():
        yield f"{orders} orders lost lines to {reason}, but keep others"
    far = report.far_dates
    if far.rows:
        days = " to ".join(sorted({at[:10] for at in (far.first_at, far.last_at) if at}))
        yield (
            f"{far.rows} rows of {days} with {far.revenue:.2f} {report.currency} are set apart: their dates lie far "
            "from all others"
        )
    for gap in report.gaps:
        yield (
            f"nobody bought from {gap.first} to {gap.last}, {gap.days} days, but before and after; is an export "
            "missing? who bought before looks lost to every model"
        )
    if report.amounts_as_zero:
        yield (
            f"{report.amounts_as_zero} purchases, renewals or refunds without an amount count as 0 "
            "(missing.amount: zero)"
        )
    yield from _of_money(report)
    if report.items_with_conflicting_rows > CONFLICTING * report.num_items:
        yield (
            f"{report.items_with_conflicting_rows} of {report.num_items} items have rows that differ: the most "
            "frequent title and category hold, and the median price"
        )
    strange = report.unknown_to_catalogue
    if strange.lines > (1 - FOUND) * report.num_events:
        yield (
            f"{strange.lines} of {report.num_events} events are of {strange.items} items that the item table does not "
            "hold, and that nobody can be recommended; are the ids written alike?"
        )
    for name, found in report.matches.items():
        if name.startswith("lookup ") and found.share < FOUND:
            yield (
                f"{name}: {found.matched} of {found.rows} rows ({found.share:.1%}) find their key; "
                "the others have nothing of it"
            )
    yield from _of_ids(report)
    yield from warnings_of_orders(report)
    for customer in report.heavy_customers[:MAX_NAMED]:
        yield _heavy(customer, report.currency)
    if len(report.heavy_customers) > MAX_NAMED:
        others = len(report.heavy_customers) - MAX_NAMED
        yield f"{others} more customers are named in heavy_customers of quality.json"


def _of_money(report: QualityReport) -> Iterator[str]:
    """What money tells that is larger than it should be, or counts nowhere."""
    outliers, purchases = report.outliers, report.account.read.purchases
    if outliers.fence is not None and outliers.revenue > OUTLIERS * purchases > 0:
        yield (
            f"{outliers.total} lines above the fence of {outliers.fence:.2f} {report.currency} come to "
            f"{outliers.revenue:.2f}, {100 * outliers.revenue / purchases:.0f} % of all purchases; are they real? "
            "outliers.action clips or drops them"
        )
    kept = report.account.kept
    if (
        "purchase" in report.events_by_kind
        and kept.rows > kept.without_amount
        and not kept.purchases
    ):
        yield "all amounts of purchases are 0"
    for kind, amount in report.money_of_other_kinds.items():
        if kind not in SHOWN:
            yield (
                f"amounts of kind {kind} come to {amount:.2f} {report.currency}: they count neither as revenue nor as "
                "refunds"
            )
    if report.free_plans.matched:
        yield (
            f"{report.free_plans.matched} of {report.free_plans.rows} payments of a plan have amount 0: the plan is "
            "expected to bring nothing until something is paid; what is tried for nothing is of kind trial"
        )
    unplanned = report.unplanned_renewals
    if 2 * unplanned.matched > report.events_by_kind.get("purchase", 0) + unplanned.rows:
        yield (
            f"{unplanned.matched} of {unplanned.rows} renewals have no plan_days: they count as purchases like others, "
            "and when the next ones are due is not known"
        )
    totals = {"discounts": report.total_discount, "costs": report.total_cost}
    for name, total in totals.items():
        if total > MOST_OF_REVENUE[name] * purchases > 0:
            yield (
                f"{name} come to {total:.2f} {report.currency}, {total / purchases:.1f} times all purchases; "
                "are they cents or percents?"
            )
    means = {code: each.purchases / each.rows for code, each in report.currencies.items()}
    least = min(means, key=means.__getitem__, default="")
    most = max(means, key=means.__getitem__, default="")
    if means and means[most] > OTHER_RATES * means[least] > 0:
        yield (
            f"purchases in {most} are on average {means[most] / means[least]:.0f} times those in {least}, both in "
            f"{report.currency}; a rate says what one of a currency is worth in {report.currency}: is it the other "
            "way round?"
        )


def _of_ids(report: QualityReport) -> Iterator[str]:
    """What ids tell that are written in two ways, or are no order's."""
    alike = report.alike_ids
    if alike.ids:
        yield (
            f"{alike.ids} ids differ from others only in capital letters, zeros in front, blanks or marks, "
            f"such as {list(alike.example)}; if they are one customer's, write them alike"
        )
    long = report.long_orders
    if long.orders > LONG_ORDERS * long.of:
        yield (
            f"{long.orders} of {long.of} orders have purchases more than 60 days apart, such as "
            f"{long.example!r}; is order_id an order's number?"
        )
    for path, found in report.customers_of_sources.items():
        if found.customers >= MIN_STRANGERS and not found.buyers:
            yield (
                f"none of the {found.customers} customers of {path} bought anything; "
                "are ids written alike?"
            )


def _share(account: MoneyAccount, reason: str) -> float:
    """Of what was read, the largest part that was left out for a reason: of rows, purchases or refunds."""
    dropped, read = account.dropped[reason], account.read
    return max(
        dropped.rows / max(read.rows, 1),
        abs(dropped.purchases) / (abs(read.purchases) or math.inf),
        abs(dropped.refunds) / (abs(read.refunds) or math.inf),
    )


def _in_words(reason: str, money: Money, currency: str) -> str:
    amounts = {"purchases": money.purchases, "refunds": money.refunds}
    told = [f"{name} {amount:,.2f} {currency}" for name, amount in amounts.items() if amount]
    return f"{money.rows} {reason}{' (' + ', '.join(told) + ')' if told else ''}"


def _heavy(customer: HeavyCustomer, currency: str) -> str:
    fate = (
        "set apart" if customer.set_apart else "kept; shared_ids of the recipe would set it apart"
    )
    return (
        f"customer {customer.customer_id!r} has {customer.share_of_orders:.1%} of all orders and "
        f"{customer.share_of_lines:.1%} of all lines: {customer.orders} orders on {customer.days} days, up to "
        f"{customer.most_orders_a_day} a day, {customer.revenue:,.2f} {currency}; {fate}"
    )
