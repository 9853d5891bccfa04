"""Words in place of the names of columns: none of them is left."""

import pytest

from lifecycle.features.numbers import FEATURES
from lifecycle.features.standing import STANDING
from lifecycle.spend.stack_trees import BTYD_NUMBERS
from training.report.words.features import feature_words, reason_words
from training.results.customers import Reason


def test_every_feature_has_words_and_no_two_have_the_same() -> None:
    told = {name: feature_words(name) for name in (*FEATURES, *BTYD_NUMBERS, *STANDING)}
    assert not [words for words in told.values() if "_" in words or "num " in words]
    again = {"tenure_days", "btyd_age"}  # the days since the first order, twice among FEATURES
    others = [words for name, words in told.items() if name not in again]
    assert len(set(others)) == len(others)


@pytest.mark.parametrize(
    ("feature", "value", "effect", "words"),
    [
        ("recency_days", 12.0, 0.08, "days since the last order 12 (+8 %)"),
        ("spend_91d", 12.5, -0.1, "spend in the last 91 days 12.50 EUR (-10 %)"),
        ("spend_bucket_2", 80.0, None, "spend 56 to 84 days ago 80 EUR"),
        ("last_order_1_value", 7.0, None, "second last order 7 EUR"),
        ("plan_days_left", 4.0, None, "days until the next payment 4"),
        ("plan_days_left", -221.0, None, "days that the next payment is late 221"),
        ("plan_amount", 10.0, None, "price of the plan 10 EUR"),
        ("view_91d", 3.0, None, "view in the last 91 days 3"),
        ("attribute_home_owner=own_house", 1.0, 0.5, "home owner: own house (+50 %)"),
        ("attribute_household_size", 3.0, None, "household size 3"),
        ("category_share=Green tea", 0.25, None, "share of spend on Green tea 0.250"),
        (
            "purchase 2024-03-01T10:00:00+00:00",
            9.5,
            0.2,
            "purchase of 2024-03-01 9.500 EUR (+20 %)",
        ),
    ],
)
def test_reasons_are_words_with_units(
    feature: str, value: float, effect: float | None, words: str
) -> None:
    assert reason_words(Reason(feature=feature, value=value, effect=effect), "EUR") == words
