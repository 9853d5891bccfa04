"""What to tell of orders and lines that may be counted falsely."""

from collections.abc import Iterator

from training.results.orders import RepeatedAmounts
from training.results.quality import QualityReport

LONG_ORDERS = 0.01  # of all orders, more of which are told
MIN_REPEATED = 20  # orders of several lines of one amount each, ...
EQUAL = 0.01  # of all rows, more of which are told
REPEATED = 0.9  # which most of such orders are, ...
DIFFERENT = 0.25  # with as many different amounts, for them to be told
MIN_REFUNDS = 20  # that name something, ...
MATCHED = 0.1  # of which more should find their purchase
MIN_LINES = 100  # of items that were sold in several quantities, ...
STEADY = 0.1  # of what quantities vary: amounts (or amounts by their square) that vary no more
MIN_ORDERS = 20  # of a source, ...
TOGETHER = 0.25  # of all lines, more of which at one instant are told
TOLD_BEFORE = 0.5  # of which more are told by sources before, for it to be told


def warnings_of_orders(report: QualityReport) -> Iterator[str]:
    """What rows and orders tell that are counted more than once."""
    equal, rows = report.duplicates, report.account.kept.rows
    if equal.kept_equal > EQUAL * rows:
        yield (
            f"{equal.kept_equal} of {rows} rows equal an earlier one in customer, time, kind, order, item and "
            f"amount, and are kept; they bring {equal.kept_equal_revenue:.2f} {report.currency}. "
            "If the export has them twice, say drop_exact_duplicates: true"
        )
    if report.replaced_items > EQUAL * rows:
        yield (
            f"{report.replaced_items} rows were replaced by one of another item under one event_id; is it the number "
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
    if _are_repeated(same):
        yield (
            f"in {same.orders} of {same.of} orders of several lines all lines have the same amount, such as "
            f"{same.example_amount} in {same.example!r}; is it the order's total, which counts once?"
        )
    yield from _of_lines(report)
    named, matched = report.refunds_named, report.refunds.matched
    if named >= MIN_REFUNDS and matched < MATCHED * named:
        yield (
            f"only {matched} of {named} refunds that name an order or an item find their purchase; "
            "are ids of customers, orders and items written alike?"
        )
    for name, found in report.repeated_values.items():
        if _are_repeated(found):
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


def _are_repeated(found: RepeatedAmounts) -> bool:
    """Whether most orders have one amount on all lines, and not all the same one."""
    are_most = found.orders >= max(MIN_REPEATED, REPEATED * found.of)
    return are_most and found.amounts >= DIFFERENT * found.orders


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
