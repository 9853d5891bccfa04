"""The last lines of ingest's log: what was left out, and what the data cannot support."""

import logging
import math
from collections.abc import Iterator

from training.results.quality import HeavyCustomer, Money, MoneyAccount, QualityReport

logger = logging.getLogger(__name__)
LONG_ORDERS = 0.01  # of all orders, more of which are told
OUTLIERS = 0.2  # of all revenue, more of which is told
MIN_REPEATED = 20  # orders of several lines of one amount each, ...
EQUAL = 0.01  # of all rows, more of which are told
REPEATED = 0.9  # which most of such orders are, ...
DIFFERENT = 0.25  # with as many different amounts, for them to be told
MOST_OF_REVENUE = {"discounts": 1.0, "costs": 5.0}  # times, more of which are told
CONFLICTING = 0.1  # of all items, more of which are told
OTHER_RATES = 100  # times another's, as which average purchases of a currency are told
FOUND = 0.9  # of the rows that ask a lookup, fewer of which are told
MIN_REFUNDS = 20  # that name something, ...
MATCHED = 0.1  # of which more should find their purchase
MIN_LINES = 100  # of items that were sold in several quantities, ...
STEADY = 0.1  # of what quantities vary: amounts (or amounts by their square) that vary no more
MIN_ORDERS = 20  # of a source, ...
TOGETHER = 0.25  # of all lines, more of which at one instant are told
TOLD_BEFORE = 0.5  # of which more are told by sources before, for it to be told
SHOWN = ("view", "cart", "search", "impression", "click")  # whose amounts are prices
MIN_STRANGERS = 10  # customers of a source, of whom one should have bought
MAX_NAMED = 20  # customers that the log names
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
    for line in warnings_of(report):
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
        yield (
            f"{far.rows} rows of {far.first_at} to {far.last_at}, with {far.revenue:.2f} {report.currency}, are set "
            "apart, as their dates lie far from all others"
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
    for name, found in report.matches.items():
        if name.startswith("lookup ") and found.share < FOUND:
            yield (
                f"{name}: {found.matched} of {found.rows} rows ({found.share:.1%}) find their key; "
                "the others have nothing of it"
            )
    yield from _of_ids(report)
    yield from _of_orders(report)
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


def _of_orders(report: QualityReport) -> Iterator[str]:
    """What rows and orders tell that are counted more than once."""
    equal, rows = report.duplicates, report.account.kept.rows
    if equal.kept_equal > EQUAL * rows:
        yield (
            f"{equal.kept_equal} of {rows} rows equal an earlier one in customer, time, kind, order, item and "
            f"amount, and are kept; they bring {equal.kept_equal_revenue:.2f} {report.currency}. "
            "If the export has them twice, say drop_exact_duplicates: true"
        )
    if equal.replaced_items > EQUAL * rows:
        yield (
            f"{equal.replaced_items} rows were replaced by one of another item under one event_id; is it the number "
            "of an order, or of another table's rows? Put the item or a word before it, or leave it out"
        )
    files = report.orders_of_files
    if files.orders > LONG_ORDERS * files.of:
        yield (
            f"{files.orders} of {files.of} orders have the same purchases in several files, such as "
            f"{files.example!r} in {' and '.join(files.files)}; {files.of_same_money} of them come to the same "
            "money in each. Leave one of two sources of the same orders out; where later rows correct "
            "earlier ones, map an event_id and say on_repeated_id"
        )
    same = report.repeated_amounts
    enough = max(MIN_REPEATED, REPEATED * same.of)
    if same.orders >= enough and same.amounts >= DIFFERENT * same.orders:
        yield (
            f"in {same.orders} of {same.of} orders of several lines all lines have the same amount, such as "
            f"{same.example_amount} in {same.example!r}; is it the order's total, which counts once?"
        )

    yield from _of_lines(report)
    refunds = report.refunds
    if refunds.named >= MIN_REFUNDS and refunds.matched < MATCHED * refunds.named:
        yield (
            f"only {refunds.matched} of {refunds.named} refunds that name an order or an item find their purchase; "
            "are ids of customers, orders and items written alike?"
        )
    for name, found in report.repeated_values.items():
        if found.orders >= max(MIN_REPEATED, REPEATED * found.of):
            if found.amounts >= DIFFERENT * found.orders:
                yield (
                    f"in {found.orders} of {found.of} orders of several lines with a {name} all have the same; "
                    "is it the order's, which counts once?"
                )
    for path, orders in report.orders_of_sources.items():
        if orders.matched >= MIN_ORDERS and orders.share > TOLD_BEFORE:
            yield (
                f"for {orders.matched} of {orders.rows} orders of {path} another source has one of the same customer, "
                "month and money; are these payments or invoices of the same orders, which count once?"
            )
    yield from _of_quantities(report)


def _of_lines(report: QualityReport) -> Iterator[str]:
    """What lines tell that are no lines, or no orders of their own."""
    lines, rows = report.at_one_time, report.account.kept.rows
    if lines.matched >= max(MIN_ORDERS, TOGETHER * lines.rows) and lines.rows > TOGETHER * rows:
        yield (
            f"every line has an order_id of its own, but {lines.matched} of {lines.rows} lines were bought at the same "
            "time as another of their customer; is it the number of a line?"
        )
    for name, groups in report.with_sums.items():
        if groups.matched >= max(MIN_REPEATED, REPEATED * groups.rows):
            yield (
                f"{groups.matched} of {groups.rows} {name} of three lines or more have one that is the sum of all "
                "others; are these rows of totals? Leave them out by `filter`"
            )


def _of_quantities(report: QualityReport) -> Iterator[str]:
    """What amounts tell that do not grow as quantities do."""
    found = report.amounts_by_quantity
    most = STEADY * found.quantity
    if found.lines < MIN_LINES:
        return
    if found.amount <= most:
        yield "amounts of an item are the same whatever its quantity; is amount the price of one piece?"
    if found.beyond_square <= most:
        yield "amounts of an item grow with the square of its quantity; is the quantity taken twice?"


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
