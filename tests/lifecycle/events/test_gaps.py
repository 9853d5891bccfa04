"""Which weeks without a purchase are no chance and no season."""

from datetime import date, timedelta

from lifecycle.events.gaps import Gap, gaps_of

START = date(2022, 1, 1)


def orders(num_days: int, each: int = 3, *closed: tuple[date, date]) -> dict[date, int]:
    """As many customers on every day, but none on closed days, both included."""
    days = (START + timedelta(days=day) for day in range(num_days))
    return {day: each for day in days if not any(first <= day <= last for first, last in closed)}


MARCH_TO_JUNE = date(2023, 3, 1), date(2023, 6, 30)


def test_months_without_a_purchase_are_found_with_their_days() -> None:
    (gap,) = gaps_of(orders(800, 3, MARCH_TO_JUNE))
    assert gap == Gap(*MARCH_TO_JUNE, comes_again=False) and gap.num_days == 122


def test_shop_that_closes_every_year_has_a_season() -> None:
    winters = [(date(year, 1, 10), date(year, 3, 5)) for year in (2022, 2023)]
    # A few customers, or some days more or less, are no other season.
    found = gaps_of(orders(800, 3, *winters) | {date(2023, 1, 20): 1})
    assert [gap.comes_again for gap in found] == [True, True]


def test_where_no_other_year_is_known_nobody_can_tell() -> None:
    (gap,) = gaps_of(orders(400, 3, (date(2022, 5, 1), date(2022, 6, 15))))
    assert gap.comes_again is None


def test_holidays_and_shops_of_few_orders_have_no_gaps() -> None:
    assert gaps_of(orders(800, 3, (date(2023, 3, 1), date(2023, 3, 27)))) == []
    rare = {day: 1 for day in list(orders(800))[::35]}
    assert gaps_of(rare) == [], "an order in five weeks is what the shop is used to"
    assert gaps_of({START: 1, START + timedelta(days=31): 1}) == [], "two orders tell no rate"
    assert gaps_of({}) == []
