"""The groups that recommendation metrics are reported for: how well a customer is known, and what is new to them."""

THIN_ORDERS = 2
RICH_ORDERS = 5
CUSTOMER_GROUPS = ("new", "thin", "rich")


def customer_group(num_orders: int) -> str:
    """`new` with 0 or 1 orders before the cutoff, `thin` with 2 to 4, `rich` with 5 or more."""
    if num_orders < 0:
        raise ValueError(f"num_orders is {num_orders}; a number of orders is not negative")
    if num_orders < THIN_ORDERS:
        return "new"
    return "thin" if num_orders < RICH_ORDERS else "rich"


def split_truth(truth: set[str], bought_before: set[str]) -> tuple[set[str], set[str]]:
    """The items of a truth that the customer had bought before the cutoff (repeat_items), and the rest (new_items)."""
    return truth & bought_before, truth - bought_before
