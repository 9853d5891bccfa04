"""Sources that cannot mean anything: refused with the place, and nothing is left behind."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.shards import shard_numbers
from tests.training.ingest.recipes import LOG, log, recipe
from training.ingest.job import ingest


def two_customers_of_different_shards() -> tuple[str, str]:
    ids = pl.Series([str(number) for number in range(100)])
    shards = shard_numbers(ids, 3)
    return ids[0], ids.filter(shards != shards[0])[0]


@pytest.mark.parametrize("is_same_customer", [True, False])
def test_sources_that_contradict_each_other_under_one_event_id(
    tmp_path: Path, is_same_customer: bool
) -> None:
    one, other = two_customers_of_different_shards()
    columns = LOG | {"event_id": {"sql": "'E1'"}}
    first = log(tmp_path / "a.csv", f"{one},2024-01-01,A,5", columns=columns)
    second = log(
        tmp_path / "b.csv", f"{one if is_same_customer else other},2024-01-01,A,6", columns=columns
    )
    message = (
        "contradict each other: {'amount': (5.0, 6.0)}"
        if is_same_customer
        else f"events of two customers: {sorted([one, other])}; put what tells them apart before it"
    )
    with pytest.raises(ValueError) as error:
        ingest(recipe(tmp_path / "data", first, second))
    assert "'E1'" in str(error.value) and message in str(error.value)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filter": {"sql": "a > 100"}}, "no usable event in .*'filter': 2"),
        ({"filter": {"none": False}}, "no usable event in .*'filter:none': 2"),
        (
            {"columns": LOG | {"amount": {"sql": "NULLIF(a, a)"}}},
            "no usable event in .*'missing_amount': 2.*without amounts `amount: 1` counts orders",
        ),
        (
            {"columns": LOG | {"customer_id": {"sql": "NULLIF(c, c)"}}},
            "no usable event in .*'missing_customer_id': 2",
        ),
        (
            {"columns": LOG | {"amount": {"sql": "a - 10"}}},
            "row 1 after the header: amount is -5.0 for a purchase",
        ),
        ({"kind": {"sql": "i"}}, "row 1 after the header: kind is 'A'"),
        ({"columns": LOG | {"amount": "price"}}, "columns.amount: unknown column 'price'"),
    ],
)
def test_source_that_gives_nothing_usable(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    source = log(tmp_path / "a.csv", "1,2024-01-01,A,5", "2,2024-01-02,B,6", **changes)
    with pytest.raises(ValueError, match=message):
        ingest(recipe(tmp_path / "data", source))
    assert not (tmp_path / "data").exists()


def test_unknown_column_of_a_later_source_is_found_before_the_first_is_parsed(
    tmp_path: Path,
) -> None:
    bad_row = log(tmp_path / "a.csv", "1,never,A,5")
    unknown = log(tmp_path / "b.csv", "1,2024-01-01,A,5", kind={"sql": "colour"})
    with pytest.raises(ValueError, match="unknown column 'colour'"):
        ingest(recipe(tmp_path / "data", bad_row, unknown))


def test_unknown_column_of_a_later_file_is_found_before_the_first_is_parsed(tmp_path: Path) -> None:
    folder = tmp_path / "months"
    folder.mkdir()
    source = log(folder / "1.csv", "1,not a date,A,1")
    (folder / "2.csv").write_text("c,t,i\n1,2024-01-01,A\n")
    with pytest.raises(ValueError, match="columns.amount: unknown column 'a'; .*2.csv has"):
        ingest(recipe(tmp_path / "data", source | {"path": str(folder)}))


def test_command_ends_with_one_line_for_a_users_mistake(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    config = recipe(tmp_path / "data", log(tmp_path / "a.csv", "1,yesterday,A,5"))
    config.save(path)
    done = subprocess.run(
        [sys.executable, "-m", "training.ingest", "--config", str(path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "row 1 after the header: occurred_at is 'yesterday'" in done.stderr
    assert "Traceback" not in done.stderr


def test_customers_that_excel_rounded_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"1234567890{number:05}00,2024-01-05,A,5" for number in range(12)]
    ingest(recipe(tmp_path / "data", log(tmp_path / "a.csv", *lines)))
    assert "all customer_id of more than 15 digits end in zeros" in caplog.text
