"""The last lines of ingest's log: what was left out, and what the data cannot support."""

import logging
import math

from training.results.quality import HeavyCustomer, Money, MoneyAccount, QualityReport

logger = logging.getLogger(__name__)
LONG_ORDERS = 0.01  # of all orders, more of which are told
OUTLIERS = 0.2  # of all revenue, more of which is told
MIN_REPEATED = 20  # orders of several lines of one amount each, ...
EQUAL = 0.01  # of all rows, more of which are told
REPEATED = 0.9  # which most of such orders are, ...
DIFFERENT = 0.25  # with as many different amounts, for them to be told
MIN_STRANGERS = 10  # customers of a source, of whom one should have bought
MAX_REASONS = 3  # that the log names; quality.json has all


def log_summary(report: QualityReport) -> None:
    """The reasons for which most was left out, in rows or money, and which models the data cannot support."""
    account = report.account
    worst = sorted(account.dropped, key=lambda reason: -_share(account, reason))[:MAX_REASONS]
    reasons = [_in_words(reason, account.dropped[reason], report.currency) for reason in worst]
    total = sum(report.rows_dropped.values())
    logger.info(
        "%d of %d rows left out: %s", total, account.read.rows, "; ".join(reasons) or "none"
    )
    if report.orders_half_dropped:
        logger.warning(
            "orders that lost lines while others stay, by reason: %s", report.orders_half_dropped
        )
    if report.far_dates.rows:
        logger.warning("set apart, as their dates lie far from all others: %s", report.far_dates)
    if report.amounts_as_zero:
        logger.warning(
            "%d purchases, renewals or refunds without an amount count as 0 (missing.amount: zero)",
            report.amounts_as_zero,
        )
    outliers = report.outliers
    if outliers.fence is not None and outliers.revenue > OUTLIERS * account.read.purchases > 0:
        logger.warning(
            "%d lines above the fence of %.2f %s come to %.2f, %.0f %% of all purchases; are they real? "
            "outliers.action clips or drops them",
            outliers.total,
            outliers.fence,
            report.currency,
            outliers.revenue,
            100 * outliers.revenue / account.read.purchases,
        )
    _warn_of_ids(report)
    _warn_of_orders(report)
    for customer in report.heavy_customers:
        logger.warning(_heavy(customer, report.currency))
    lacking: dict[str, list[str]] = {}
    for name, support in report.models.items():
        if not support.supported:
            lacking.setdefault(support.reason, []).append(name)
    for rule, names in lacking.items():
        logger.info("the data do not support %s: %s", ", ".join(names), rule)


def _warn_of_ids(report: QualityReport) -> None:
    """What ids tell that are written in two ways, or are no order's."""
    alike = report.alike_ids
    if alike.ids:
        logger.warning(
            "%d ids differ from others only in capital letters, zeros in front, blanks or marks, such as %s; "
            "if they are one customer's, write them alike",
            alike.ids,
            list(alike.example),
        )
    long = report.long_orders
    if long.orders > LONG_ORDERS * long.of:
        logger.warning(
            "%d of %d orders have purchases more than 60 days apart, such as %r; is order_id an order's number?",
            long.orders,
            long.of,
            long.example,
        )
    for path, found in report.customers_of_sources.items():
        if found.customers >= MIN_STRANGERS and not found.buyers:
            logger.warning(
                "none of the %d customers of %s bought anything; are ids written alike?",
                found.customers,
                path,
            )


def _warn_of_orders(report: QualityReport) -> None:
    """What rows and orders tell that are counted more than once."""
    equal = report.duplicates
    if equal.kept_equal > EQUAL * report.account.kept.rows:
        logger.warning(
            "%d of %d rows equal an earlier one in customer, time, kind, order, item and amount, and are kept; "
            "they bring %.2f %s. If the export has them twice, say drop_exact_duplicates: true",
            equal.kept_equal,
            report.account.kept.rows,
            equal.kept_equal_revenue,
            report.currency,
        )
    files = report.orders_of_files
    if files.orders > LONG_ORDERS * files.of:
        logger.warning(
            "%d of %d orders have the same purchases in several files, such as %r in %s; %d of them come to the "
            "same money in each. Leave one of two sources of the same orders out; where later rows correct "
            "earlier ones, map an event_id and say on_repeated_id",
            files.orders,
            files.of,
            files.example,
            " and ".join(files.files),
            files.of_same_money,
        )
    same = report.repeated_amounts
    enough = max(MIN_REPEATED, REPEATED * same.of)
    if same.orders >= enough and same.amounts >= DIFFERENT * same.orders:
        logger.warning(
            "in %d of %d orders of several lines all lines have the same amount, such as %s in %r; "
            "is it the order's total, which counts once?",
            same.orders,
            same.of,
            same.example_amount,
            same.example,
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
