from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.training.ingest.recipes import log, recipe, run

START = date(2024, 1, 1)
NUM_PERSONS = 150


def persons() -> Iterator[str]:
    """Purchases of persons, each on one to four days, `c1000` and on."""
    for number in range(NUM_PERSONS):
        for visit in range(1 + number % 4):
            yield f"c{1000 + number},{START + timedelta(days=number + 9 * visit)},i{number % 7},10"


def till(customer_id: str, per_day: int) -> list[str]:
    """Purchases under one id, day by day."""
    days = [START + timedelta(days=day) for day in range(60)]
    return [f"{customer_id},{day},i{number},5" for day in days for number in range(per_day)]


@pytest.mark.parametrize(
    "name",
    ["0", "-1", "99999", "guest", "Walk-in Customer", "UNKNOWN", f"{0:08}-0000-0000-0000-{0:012}"],
)
def test_id_of_nobody_with_a_share_that_no_person_has_is_set_apart(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    lines = log(tmp_path / "x.csv", *persons(), *till(name, per_day=3))
    events, report = run(recipe(tmp_path / "data", lines))
    assert report["num_customers"] == NUM_PERSONS == events["customer_id"].n_unique()
    (heavy,) = report["heavy_customers"]
    num_persons_orders = sum(1 + number % 4 for number in range(NUM_PERSONS))
    assert heavy == {
        "customer_id": name,
        "orders": 60,  # without an order_id, a day is one
        "lines": 180,
        "revenue": 900.0,
        "days": 60,
        "most_orders_a_day": 1,
        "share_of_orders": pytest.approx(60 / (60 + num_persons_orders)),
        "share_of_lines": pytest.approx(180 / (180 + num_persons_orders)),
        "set_apart": True,
    }
    dropped = {"rows": 180, "purchases": 900.0, "refunds": 0.0, "without_amount": 0}
    assert report["account"]["dropped"] == {"shared_id": dropped}
    assert f"customer {name!r} has " in caplog.text and "set apart" in caplog.text


def test_giant_with_a_name_of_its_own_is_named_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = log(tmp_path / "x.csv", *persons(), *till("17841", per_day=3))
    _, report = run(recipe(tmp_path / "data", lines))
    assert report["num_customers"] == NUM_PERSONS + 1
    (heavy,) = report["heavy_customers"]
    assert (heavy["customer_id"], heavy["set_apart"]) == ("17841", False)
    assert "kept; shared_ids of the recipe would set it apart" in caplog.text


def test_person_whose_number_is_0_stays_and_guests_go_whatever_their_share(tmp_path: Path) -> None:
    lines = log(tmp_path / "x.csv", *persons(), "0,2024-01-05,i,5", "Guest,2024-01-05,i,6")
    events, report = run(recipe(tmp_path / "data", lines))
    assert report["rows_dropped"] == {"shared_id": 1}
    assert "0" in events["customer_id"].to_list()
    assert [each["customer_id"] for each in report["heavy_customers"]] == ["Guest"]


def test_recipe_says_which_ids_are_shared(tmp_path: Path) -> None:
    lines = log(tmp_path / "x.csv", *persons(), *till("guest", 3), *till("T1", 1))
    events, report = run(recipe(tmp_path / "data", lines, shared_ids=["T1", "absent"]))
    customers = set(events["customer_id"])
    assert "guest" in customers and "T1" not in customers
    assert {each["customer_id"]: each["set_apart"] for each in report["heavy_customers"]} == {
        "guest": False,
        "T1": True,
    }
    _, report = run(recipe(tmp_path / "none", lines, shared_ids=[]))
    assert report["rows_dropped"] == {}


def test_ordinary_shop_has_no_heavy_customers(tmp_path: Path) -> None:
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *persons())))
    assert report["heavy_customers"] == [] and report["rows_dropped"] == {}


def test_several_tills_do_not_hide_each_other(tmp_path: Path) -> None:
    tills = [line for number in range(5) for line in till(f"TILL{number}", per_day=1)]
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *persons(), *tills)))
    named = {each["customer_id"] for each in report["heavy_customers"]}
    assert named == {f"TILL{number}" for number in range(5)}


@pytest.mark.parametrize("name", ["guest", "-", "\\N", "?", "(blank)", "(Leer)", "#REF!", "#NV"])
def test_ids_of_nobody_go_though_they_bought_nothing(tmp_path: Path, name: str) -> None:
    bought = log(tmp_path / "x.csv", *persons())
    viewed = log(tmp_path / "y.csv", f"{name},2024-01-05,i,", "c1000,2024-01-06,i,", kind="view")
    events, report = run(recipe(tmp_path / "data", bought, viewed))
    assert report["rows_dropped"] == {"shared_id": 1}
    assert name not in events["customer_id"].to_list()


def test_rows_of_sums_are_told_by_their_money_and_a_customer_of_that_name_stays(
    tmp_path: Path,
) -> None:
    num_orders = sum(1 + number % 4 for number in range(NUM_PERSONS))
    sums = log(tmp_path / "x.csv", *persons(), f"Total,2024-06-30,,{10 * num_orders}")
    events, report = run(recipe(tmp_path / "data", sums))
    assert report["account"]["dropped"]["shared_id"]["purchases"] == 10 * num_orders
    assert events["amount"].sum() == 10 * num_orders
    company = log(tmp_path / "y.csv", *persons(), "Total,2024-06-30,i,50")
    _, report = run(recipe(tmp_path / "company", company))
    assert report["rows_dropped"] == {}


ALL = 10 * sum(1 + number % 4 for number in range(NUM_PERSONS))  # what persons() spend


@pytest.mark.parametrize(
    ("names", "times"),
    [
        (["Total g\u00e9n\u00e9ral"], 1),
        (["Subtotal January", "Subtotal February", "Subtotal March"], 1),
        (["Sous-total 1", "Sous-total 2", "Total g\u00e9n\u00e9ral"], 2),
        (["Totaal"], 1),
        (["\u0418\u0442\u043e\u0433\u043e"], 1),
        (["\u5408\u8a08"], 1),
    ],
)
def test_sums_of_any_language_and_of_parts_are_set_apart(
    tmp_path: Path, names: list[str], times: int
) -> None:
    amounts = [times * ALL / len(names)] * len(names)
    sums = [f"{name},2024-06-30,,{amount}" for name, amount in zip(names, amounts, strict=True)]
    events, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *persons(), *sums)))
    assert report["account"]["dropped"]["shared_id"]["purchases"] == pytest.approx(times * ALL)
    assert events["amount"].sum() == ALL


def test_company_that_is_named_as_a_sum_stays_and_is_named(tmp_path: Path) -> None:
    giant = f"Total Wines,2024-06-30,i,{0.4 * ALL}"
    events, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *persons(), giant)))
    assert events["amount"].sum() == pytest.approx(1.4 * ALL)
    (heavy,) = report["heavy_customers"]
    assert (heavy["customer_id"], heavy["set_apart"]) == ("Total Wines", False)


def test_shared_id_that_no_row_has_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *persons()), shared_ids=["TIL0"]))
    assert "shared_ids names 'TIL0', whom no row has" in caplog.text


def test_rows_of_totals_of_each_customer_are_set_apart(tmp_path: Path) -> None:
    lines = [f"C{n % 25},2024-01-{1 + n % 28:02},i,{n}" for n in range(100)]
    totals = [f"C{c} Total,2024-01-28,,{sum(range(c, 100, 25))}" for c in range(25)]
    _, report = run(recipe(tmp_path / "data", log(tmp_path / "x.csv", *lines, *totals)))
    assert report["account"]["kept"]["purchases"] == sum(range(100))
    assert report["rows_dropped"] == {"shared_id": 25}
    assert "5 more customers are named in heavy_customers" in report["warnings"][-1]
