"""What customers said and paid for, by hand: who takes a cancellation back, what a pause puts off."""

from datetime import timedelta

import polars as pl
import pytest

from lifecycle.features.standing import STANDING, standings
from tests.builders import CUTOFF, cutoffs, make_events

PAID = {"kind": "renewal", "amount": 70.0, "plan_days": 30.0}
NOTHING = dict.fromkeys(STANDING)


def standing(*rows: dict[str, object]) -> dict[str, float | None]:
    return standings(make_events(list(rows)), cutoffs("a")).row(0, named=True)


def at(day: float, kind: str) -> dict[str, object]:
    return {"day": day, "kind": kind, "amount": None}


def test_purchases_and_contacts_say_nothing() -> None:
    assert standing({"day": -9}, at(-5, "view"), at(-3, "support")) == NOTHING
    assert standings(make_events([{"day": -9}]), cutoffs("a", "b")).rows() == [(None,) * 8] * 2


@pytest.mark.parametrize("kind", ["purchase", "renewal", "trial", "resume"])
def test_cancellation_holds_until_the_customer_comes_back(kind: str) -> None:
    cancelled = [{"day": -40}, at(-8, "cancellation")]
    assert standing(*cancelled)["cancelled_days"] == 8.0
    assert standing(*cancelled, at(-8, kind))["cancelled_days"] == 8.0, "at the same instant"
    assert standing(*cancelled, at(-7, kind))["cancelled_days"] is None
    again = standing(*cancelled, at(-7, kind), at(-2, "cancellation"))
    assert again["cancelled_days"] == 2.0


@pytest.mark.parametrize("kind", ["view", "support", "refund", "pause"])
def test_nothing_else_takes_a_cancellation_back(kind: str) -> None:
    assert standing({"day": -40}, at(-8, "cancellation"), at(-7, kind))["cancelled_days"] == 8.0


@pytest.mark.parametrize("kind", ["purchase", "renewal", "resume", "cancellation"])
def test_pause_holds_until_it_ends(kind: str) -> None:
    paused = [{"day": -40}, at(-8, "pause")]
    assert standing(*paused)["paused_days"] == 8.0
    assert standing(*paused, at(-7, kind))["paused_days"] is None
    assert standing(*paused, at(-7, "trial"))["paused_days"] == 8.0


def test_latest_payment_for_a_plan_counts() -> None:
    year = PAID | {"plan_days": 365.0, "amount": 400.0}
    found = standing(
        PAID | {"day": -300}, year | {"day": -200}, {"day": -10, "amount": 5.0}, at(-3, "view")
    )
    assert found == NOTHING | {
        "plan_days": 365.0,
        "plan_paid_days": 200.0,
        "plan_days_left": 165.0,
        "plan_amount": 400.0,
        "num_plan_payments": 2.0,
    }


def test_lines_of_one_payment_are_one() -> None:
    found = standing(PAID | {"day": -40}, PAID | {"day": -35}, PAID | {"day": -35, "amount": 5.0})
    assert (found["plan_amount"], found["num_plan_payments"], found["plan_days_left"]) == (
        75,
        2,
        -5,
    )


def test_pause_that_is_over_puts_the_next_payment_off() -> None:
    pause = [at(-40, "pause"), at(-20, "resume")]
    assert standing(PAID | {"day": -45}, *pause)["plan_days_left"] == 30 - 45 + 20
    assert standing(PAID | {"day": -45}, at(-40, "pause"))["plan_days_left"] == 30 - 45
    later = standing(PAID | {"day": -45}, *pause, PAID | {"day": -10})
    assert later["plan_days_left"] == 20, "a pause before the payment is paid for"


def test_trial_counts_from_the_latest() -> None:
    assert standing(at(-30, "trial"), at(-5, "trial"))["trial_days"] == 5.0


def test_nothing_at_or_after_the_cutoff_is_known() -> None:
    known = [PAID | {"day": -9}, at(-5, "pause")]
    ahead = [at(0, "cancellation"), at(1, "resume"), PAID | {"day": 2}, at(3, "trial")]
    assert standing(*known, *ahead) == standing(*known)


def test_each_cutoff_knows_what_came_before_it() -> None:
    events = make_events([{"day": -40}, at(-30, "cancellation"), {"day": -10}, at(-1, "pause")])
    days = [-35, -20, -5, 0]
    keys = pl.DataFrame(
        {"customer_id": ["a"] * 4, "cutoff": [CUTOFF + timedelta(days=day) for day in days]}
    ).cast({"cutoff": pl.Datetime("us", "UTC")})
    found = standings(events, keys)
    assert found["cancelled_days"].to_list() == [None, 10.0, None, None]
    assert found["paused_days"].to_list() == [None, None, None, 1.0]
