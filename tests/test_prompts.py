"""What a prompt says, and what it never says."""

from lifecycle.features import value_features
from lifecycle.prompts import value_prompts
from tests.test_features import ITEMS
from tests.test_history import cutoffs, make_events


def prompt_of(rows: list[dict[str, object]], customer: str = "a") -> str:
    events, keys = make_events(rows), cutoffs(customer)
    return str(value_prompts(events, value_features(events, keys, 30), ITEMS, 30)["prompt"][0])


def test_prompt_tells_behaviour_in_whole_numbers() -> None:
    prompt = prompt_of([{"day": -40, "amount": 10.4}, {"day": -3, "amount": 19.6, "item_id": "i"}])
    assert prompt == (
        "First,last order:40,3 days ago\n"
        "Spend week,month,quarter,half year:20,20,30,30\n"
        "Orders month,quarter,ever:1,2,2\n"
        "Last:20,10\n"
        "Buys tea\n"
        "Next 30 days:"
    )


def test_prompt_holds_no_id_and_no_free_text() -> None:
    rows: list[dict[str, object]] = [
        {"day": -2, "customer_id": "jane.doe@example.org", "order_id": "ORDER-77", "text": "call me: 555-0199"},
        {"day": -1, "customer_id": "jane.doe@example.org", "kind": "support", "text": "my name is Jane"},
    ]
    prompt = prompt_of(rows, "jane.doe@example.org")
    for secret in ("jane", "Jane", "example.org", "ORDER-77", "555"):
        assert secret not in prompt


def test_items_outside_the_catalogue_leave_the_prompt_readable() -> None:
    assert "Buys various things" in prompt_of([{"day": -2, "item_id": "unknown"}])
