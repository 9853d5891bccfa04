"""What a prompt says, and what it never says."""

import polars as pl

from lifecycle.features.categories import NO_CATEGORIES
from lifecycle.features.numbers import value_features
from lifecycle.features.prompts import value_prompts
from tests.builders import ITEMS, cutoffs, make_events


def prompt_of(rows: list[dict[str, object]], customer: str = "a", money_unit: float = 1.0) -> str:
    events = make_events(rows)
    keys = cutoffs(customer)
    features = value_features(events, keys, 30, NO_CATEGORIES)
    return str(value_prompts(events, features, ITEMS, money_unit)["prompt"][0])


def test_prompt_tells_behaviour_in_levels_of_a_doubling() -> None:
    prompt = prompt_of([{"day": -40, "amount": 10.4}, {"day": -3, "amount": 19.6, "item_id": "i"}])
    # log2(1 + x): 41 days 5.36, 4 days 2, 2 orders 1.0, 3 orders 1.58, 20.6 spent 4.36, 31 spent 4.95
    assert prompt == "Buys tea\nDays,27,10 Orders,05,08,08 Spend,044,050,050,050:"


def test_numbers_have_as_many_digits_whatever_their_size() -> None:
    events = make_events([{"day": -1}])
    keys = cutoffs("a")
    features = value_features(events, keys, 30, NO_CATEGORIES)
    lengths = []
    for amount in (None, -5.0, 0.0, 3.0, 1e6, 1e12, 1e40):
        changed = features.with_columns(
            pl.lit(amount).alias("total_spend"), pl.lit(amount).alias("recency_days")
        )
        lengths.append(len(value_prompts(events, changed, ITEMS, 1.0)["prompt"][0]))
    assert len(set(lengths)) == 1


def test_small_money_is_told_apart_in_the_shops_own_unit() -> None:
    def spends(*amounts: float) -> str:
        return prompt_of([{"day": -3, "amount": each} for each in amounts], money_unit=1e-5)

    assert spends(0.003).endswith("Spend,082,082,082,082:")  # log2(301) 8.23
    assert spends(0.5).endswith("Spend,156,156,156,156:")
    assert spends(0.003) != spends(0.004)
    large = prompt_of([{"day": -3, "amount": 300.0}])
    assert spends(0.003).split("Spend")[1] == large.split("Spend")[1]


def test_category_of_many_words_is_cut() -> None:
    items = ITEMS.with_columns(pl.lit("a very long paragraph of a category " * 9).alias("category"))
    events = make_events([{"day": -3, "item_id": "i"}])
    keys = cutoffs("a")
    features = value_features(events, keys, 30, NO_CATEGORIES)
    prompt = value_prompts(events, features, items, 1.0)["prompt"][0]
    assert prompt.startswith("Buys a very long paragraph of\nDays")


def test_prompt_holds_no_id_and_no_free_text() -> None:
    rows: list[dict[str, object]] = [
        {
            "day": -2,
            "customer_id": "jane.doe@example.org",
            "order_id": "ORDER-77",
            "text": "call me: 555-0199",
        },
        {
            "day": -1,
            "customer_id": "jane.doe@example.org",
            "kind": "support",
            "text": "my name is Jane",
        },
    ]
    prompt = prompt_of(rows, "jane.doe@example.org")
    for secret in ("jane", "Jane", "example.org", "ORDER-77", "555"):
        assert secret not in prompt


def test_items_outside_the_catalogue_leave_the_prompt_readable() -> None:
    assert "Buys various things" in prompt_of([{"day": -2, "item_id": "unknown"}])
