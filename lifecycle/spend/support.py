"""Which value models a shop's data can support."""

from lifecycle.names import BTYD_MODELS, MEMBERS, PERSISTENCE, ZILN

LEARNERS = ("lightgbm", "hurdle", ZILN, "stack", *MEMBERS)  # from examples, which must be many
MIN_CUSTOMERS = 200
MIN_RETURNING = 50  # customers with purchases on two days
MIN_RETURNING_SHARE = 0.01  # of all: where ids are new for each order, hardly one comes back


def value_model_rules(
    num_customers: int, num_returning: int, days: int
) -> dict[str, tuple[bool, str]]:
    """By value model whether so many customers, seen for so many days, are enough, and the rule.

    `num_returning` have purchases on two days: of others no model can learn who comes back.
    """
    share = num_returning / max(num_customers, 1)
    some = num_returning > 0 and share >= MIN_RETURNING_SHARE
    many = some and num_returning >= MIN_RETURNING
    found = f"with purchases on 2 days: {num_returning} of {num_customers}"
    if not some and num_customers >= MIN_CUSTOMERS:
        found += " (is the customer's id new for each order?)"
    for_persistence = f"needs {MIN_RETURNING_SHARE:.0%} of customers {found}"
    returning = f"needs {MIN_RETURNING} customers, and {MIN_RETURNING_SHARE:.0%} of all, {found}"
    seen = many and days >= 60
    large = many and num_customers >= MIN_CUSTOMERS and days >= 90
    for_btyd = f"{returning}; and 60 days of data: {days}"
    for_learners = f"{returning}; and {MIN_CUSTOMERS} customers and 90 days of data: {days}"
    return {
        PERSISTENCE: (some, for_persistence),
        **dict.fromkeys(BTYD_MODELS, (seen, for_btyd)),
        **dict.fromkeys(LEARNERS, (large, for_learners)),
        "stack": (seen, for_btyd),
    }
