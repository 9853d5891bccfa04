"""Corrected rows whose later version is one that the recipe leaves out."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import BASE, recipe, run

COLUMNS = BASE | {"event_id": "i"}
PAID = {"not_paid": {"sql": "status = 'paid'"}}


def exports(folder: Path, *files: str) -> dict[str, object]:
    """Daily files of lines `event,customer,time,amount,status`."""
    (folder / "lines").mkdir()
    for number, lines in enumerate(files):
        content = "i,c,t,p,status\n" + lines
        (folder / "lines" / f"{number}.csv").write_text(content)
    return {"path": str(folder / "lines"), "columns": COLUMNS}


FIRST = "1,1,2024-01-05,50,paid\n2,2,2024-01-06,20,paid\n"


@pytest.mark.parametrize(
    ("correction", "changes", "reasons"),
    [
        ("1,1,2024-01-05,50,cancelled\n", {"filter": PAID}, {"filter:not_paid": 1}),
        ("1,1,2024-01-05,,paid\n", {}, {"missing_amount": 1}),
        ("1,1,,50,paid\n", {}, {"missing_occurred_at": 1}),
        ("1,1,2025-01-05,50,paid\n", {}, {"after_last_date": 1}),
    ],
)
def test_what_a_left_out_version_corrects_does_not_come_back(
    tmp_path: Path, correction: str, changes: dict[str, object], reasons: dict[str, int]
) -> None:
    source = exports(tmp_path, FIRST, correction + "3,3,2024-02-06,10,paid\n") | changes
    config = recipe(tmp_path / "data", source, on_repeated_id="latest", last_date="2024-12-31")
    events, report = run(config)
    assert sorted(events["event_id"]) == ["2", "3"]
    assert report["rows_dropped"] == reasons | {"replaced_event_id": 1}
    assert report["account"]["kept"]["purchases"] == 30


def test_a_version_that_is_kept_replaces_one_that_was_left_out(tmp_path: Path) -> None:
    source = exports(
        tmp_path,
        "1,1,2024-01-05,50,open\n",
        "1,1,2024-01-05,50,paid\n",
        "1,1,2024-01-05,40,refused\n",
        "1,1,2024-01-05,45,paid\n",
    )
    config = recipe(tmp_path / "data", source | {"filter": PAID}, on_repeated_id="latest")
    events, _ = run(config)
    assert events["amount"].to_list() == [45.0]
    first = recipe(tmp_path / "first", source | {"filter": PAID}, on_repeated_id="first")
    with pytest.raises(ValueError, match="no usable event is left"):
        run(first)  # the first version was not paid


def test_by_version_whatever_the_order_of_reading(tmp_path: Path) -> None:
    source = exports(tmp_path, "1,1,2024-01-05,50,9\n1,1,2024-01-05,60,8\n2,2,2024-01-05,7,1\n")
    source["columns"] = COLUMNS | {"version": "status"}
    source["filter"] = {"sql": "p <> 50"}
    events, report = run(recipe(tmp_path / "data", source, on_repeated_id="latest"))
    assert events["event_id"].to_list() == ["2"]
    assert report["rows_dropped"] == {"filter": 1, "replaced_event_id": 1}


@pytest.mark.parametrize("rule", ["error", "latest", "first"])
def test_copies_of_a_row_whose_date_is_left_out_are_counted_under_it(
    tmp_path: Path, rule: str
) -> None:
    late = "9,1,2025-01-05,7,paid\n"
    source = exports(tmp_path, FIRST + late + late)
    config = recipe(tmp_path / "data", source, on_repeated_id=rule, last_date="2024-12-31")
    _, report = run(config)
    assert report["rows_dropped"] == {"after_last_date": 2}
    assert report["account"]["dropped"]["after_last_date"]["purchases"] == 14


@pytest.mark.parametrize(
    ("names", "is_told"), [(("feb.csv", "apr.csv"), True), (("02.csv", "04.csv"), False)]
)
def test_names_by_which_an_earlier_file_would_correct_a_later_one_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, names: tuple[str, str], is_told: bool
) -> None:
    (tmp_path / "lines").mkdir()
    february, april = (tmp_path / "lines" / name for name in names)
    february.write_text("i,c,t,p\n" + FIRST.replace(",paid", ""))
    april.write_text("i,c,t,p\n2,2,2024-01-06,25\n3,3,2024-04-05,9\n")
    source = {"path": str(tmp_path / "lines"), "columns": COLUMNS}
    run(recipe(tmp_path / "data", source, on_repeated_id="latest"))
    assert ("apr.csv comes before feb.csv" in caplog.text) == is_told


def test_rows_that_go_back_in_time_are_told_where_their_order_decides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [f"{n},{n % 5},2024-01-{28 - n:02},{n}\n" for n in range(20)]
    (tmp_path / "x.csv").write_text("i,c,t,p\n" + "".join(lines))
    source = {"path": str(tmp_path / "x.csv"), "columns": COLUMNS}
    run(recipe(tmp_path / "error", source))
    assert "newest rows first" not in caplog.text
    run(recipe(tmp_path / "latest", source, on_repeated_id="latest"))
    assert "x.csv has its newest rows first" in caplog.text


@pytest.mark.parametrize("is_order", [True, False])
def test_an_order_number_as_event_id_by_which_lines_are_lost_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_order: bool
) -> None:
    items = ["a", "b"] if is_order else ["a", "a"]
    rows = [f"{n},{n % 5},2024-01-{1 + n:02},{1 + n},{item}\n" for n in range(9) for item in items]
    (tmp_path / "x.csv").write_text("i,c,t,p,x\n" + "".join(rows).replace(",1,b", ",2,b"))
    source = {"path": str(tmp_path / "x.csv"), "columns": COLUMNS | {"item_id": "x"}}
    _, report = run(recipe(tmp_path / "data", source, on_repeated_id="latest"))
    assert report["replaced_items"] == 9 * is_order
    assert ("9 rows were replaced by one of another item" in caplog.text) == is_order
