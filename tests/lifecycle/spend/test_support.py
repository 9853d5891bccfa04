import pytest

from lifecycle.names import BTYD_MODELS, PERSISTENCE
from lifecycle.spend.support import LEARNERS, value_model_rules

BTYD = {*BTYD_MODELS, "stack"}
ALL = {PERSISTENCE, *BTYD, *LEARNERS}


@pytest.mark.parametrize(
    ("num_customers", "num_returning", "days", "supported"),
    [
        (20_000, 0, 365, set()),  # an id for each order
        (20_000, 150, 365, set()),  # of which some were shipped in two parcels
        (20_000, 200, 365, ALL),
        (100, 1, 365, {PERSISTENCE}),
        (1000, 49, 365, {PERSISTENCE}),
        (199, 50, 365, {PERSISTENCE, *BTYD}),
        (200, 50, 89, {PERSISTENCE, *BTYD}),
        (200, 50, 90, ALL),
        (200, 50, 59, {PERSISTENCE}),
        (0, 0, 0, set()),
    ],
)
def test_models_need_customers_who_come_back(
    num_customers: int, num_returning: int, days: int, supported: set[str]
) -> None:
    rules = value_model_rules(num_customers, num_returning, days)
    assert set(rules) == ALL
    assert {name for name, (holds, _) in rules.items() if holds} == supported


def test_rule_says_the_numbers_that_decided() -> None:
    rules = value_model_rules(20_000, 150, 365)
    assert rules["lightgbm"][1] == (
        "needs 50 customers, and 1% of all, with purchases on 2 days: 150 of 20000 "
        "(is the customer's id new for each order?); and 200 customers and 90 days of data: 365"
    )
