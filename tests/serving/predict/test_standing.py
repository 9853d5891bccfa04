"""What customers said reaches every part of an answer, of an artifact whose shop never heard such a thing."""

from datetime import timedelta

import pytest

from lifecycle.state.answers import Answer
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery
from tests.serving.builders import TEST_CUTOFF, events_of, with_champion

AS_OF = TEST_CUTOFF
NUMBERS = ("clv", "revenue", "expected_orders", "p_active", "churn_probability")


def answer_to(
    predictor: Predictor, *events: dict[str, object], explain: str = "features"
) -> Answer:
    rows = [
        {"event_id": str(number), "occurred_at": AS_OF - timedelta(days=float(str(event["ago"])))}
        | {name: value for name, value in event.items() if name != "ago"}
        for number, event in enumerate(events)
    ]
    query = CustomerQuery("x", events_of(*rows).sort("occurred_at"), {}, AS_OF, explain=explain)  # type: ignore[arg-type]
    [answer] = predictor.value([query])
    return answer


def payments(
    count: int, every: int, amount: float, last: int, **columns: float
) -> list[dict[str, object]]:
    """As many payments, the last so many days ago."""
    row = {"kind": "renewal", "amount": amount, "item_id": "i1", **columns}
    return [row | {"ago": last + every * number} for number in reversed(range(count))]


MONTHLY = payments(12, 30, 70.0, 20)
CANCELLED: dict[str, object] = {"kind": "cancellation", "amount": None, "ago": 8}


@pytest.mark.parametrize("champion", ["bgnbd_gg", "lightgbm", "hurdle", "stack", "persistence"])
def test_cancellation_reaches_every_part_of_the_answer(predictor: Predictor, champion: str) -> None:
    served = with_champion(predictor, champion)
    before = answer_to(served, *MONTHLY)
    after = answer_to(served, *MONTHLY, CANCELLED)
    assert before["stage"] == "loyalty"
    assert after["stage"] == "lapsed"
    assert str(after["next_best_action"]).startswith(("win_back", "personal"))
    assert after["p_active"] == pytest.approx(1 - float(str(after["churn_probability"])))
    assert float(str(after["p_active"])) < 0.1 < float(str(before["p_active"]))
    assert float(str(after["revenue"])) < 0.2 * float(str(before["revenue"]))
    assert {"feature": "cancelled_days", "value": 8.0, "effect": None} in list(after["explanation"])  # type: ignore[arg-type]


def test_default_of_a_shop_without_cancellations_by_hand(predictor: Predictor) -> None:
    """One in twenty comes back within 90 days, so 1 - .95 ** (60 / 90) within the horizon, for one order of 70."""
    found = answer_to(predictor, *MONTHLY, CANCELLED)
    share = 1 - 0.95 ** (60 / 90)
    assert found["p_active"] == pytest.approx(share)
    assert found["expected_order_value"] == 70.0
    assert found["revenue"] == pytest.approx(4 * share * 70.0 / 2), "four periods of half a horizon"


@pytest.mark.parametrize("kind", ["purchase", "renewal"])
def test_later_purchase_takes_a_cancellation_back(predictor: Predictor, kind: str) -> None:
    again = {"kind": kind, "amount": 70.0, "item_id": "i1", "ago": 2}
    back = answer_to(predictor, *MONTHLY, CANCELLED, again)
    never = answer_to(predictor, *MONTHLY, again)
    assert back["stage"] == "loyalty"
    assert [back[name] for name in ("p_active", "stage", "segment")] == [
        never[name] for name in ("p_active", "stage", "segment")
    ]


def test_events_explain_a_cancellation_by_what_it_takes_away(predictor: Predictor) -> None:
    found = answer_to(predictor, *MONTHLY, CANCELLED, explain="events")
    strongest = found["explanation"][0]  # type: ignore[index, call-overload]
    assert str(strongest["feature"]).startswith("cancellation ")  # type: ignore[index, call-overload]
    assert float(str(strongest["effect"])) < -0.5  # type: ignore[index, call-overload]


def test_annual_customer_is_neither_silent_nor_lapsed(predictor: Predictor) -> None:
    without = answer_to(predictor, *payments(1, 365, 400.0, 200))
    annual = answer_to(predictor, *payments(1, 365, 400.0, 200, plan_days=365.0))
    assert (without["stage"], annual["stage"]) == ("lapsed", "activation")
    assert annual["p_active"] == 1.0
    assert 0.0 < float(str(annual["churn_probability"])) < 0.5
    assert annual["expected_order_value"] == 400.0


def test_paused_customer_is_neither_active_as_usual_nor_gone(predictor: Predictor) -> None:
    usual = answer_to(predictor, *MONTHLY)
    pause: dict[str, object] = {"kind": "pause", "amount": None, "ago": 8}
    paused = answer_to(predictor, *MONTHLY, pause)
    cancelled = answer_to(predictor, *MONTHLY, CANCELLED)
    resumed = answer_to(predictor, *MONTHLY, pause, {"kind": "resume", "amount": None, "ago": 3})
    assert paused["stage"] == "retention"
    for name in NUMBERS[:-1]:
        lower, middle, upper = (float(str(one[name])) for one in (cancelled, paused, usual))
        assert lower < middle < upper, name
    assert [resumed[name] for name in NUMBERS] == [usual[name] for name in NUMBERS]


def test_who_is_known_by_a_refund_alone_is_nobody_s_prospect(predictor: Predictor) -> None:
    refund: dict[str, object] = {"kind": "refund", "amount": -20.0, "ago": 8}
    assert answer_to(predictor, refund)["stage"] == "lapsed"
    view: dict[str, object] = {"kind": "view", "amount": None, "ago": 8}
    assert answer_to(predictor, view)["stage"] == "acquisition"
    assert answer_to(predictor, view | {"kind": "trial"})["stage"] == "acquisition"
