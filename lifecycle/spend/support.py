"""Which value models a shop's data can support."""

from lifecycle.names import BTYD_MODELS, MEMBERS, ZILN

LEARNERS = ("lightgbm", "hurdle", ZILN, "stack", *MEMBERS)  # from examples, which must be many


def value_model_rules(
    num_customers: int, num_repeat_customers: int, days: int
) -> dict[str, tuple[bool, str]]:
    """By value model whether so many customers, seen for so many days, are enough, and the rule."""
    returns = num_repeat_customers >= 50 and days >= 60
    comes_back = f"needs 50 customers with purchases on 2 days and 60 days of data: {num_repeat_customers}, {days}"
    large = num_customers >= 200 and days >= 90
    is_large = f"needs 200 customers and 90 days of data: {num_customers}, {days}"
    return {
        **dict.fromkeys(BTYD_MODELS, (returns, comes_back)),
        **dict.fromkeys(LEARNERS, (large, is_large)),
        "stack": (returns or large, f"{comes_back}; or {is_large}"),
    }
