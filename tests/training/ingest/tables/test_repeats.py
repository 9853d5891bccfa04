"""The same rows in several files of one source: refused, counted once, or kept, as the recipe says."""

from pathlib import Path

import pytest

from tests.training.ingest.recipes import BASE, recipe, run


def write(folder: Path, **days_of: range) -> dict[str, object]:
    """A file for each name, with a row for each of its days; a source that reads them all."""
    (folder / "lines").mkdir(exist_ok=True)
    for name, days in days_of.items():
        rows = [f"{day % 3},2024-01-{day:02},{day}\n" for day in days]
        (folder / "lines" / f"{name}.csv").write_text("c,t,p\n" + "".join(rows))
    return {"path": str(folder / "lines"), "columns": BASE}


def test_files_that_are_equal_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path, a=range(1, 9), b=range(9, 12), copy=range(1, 9))
    with pytest.raises(ValueError, match="copy.csv: 8 of its 8 rows are in earlier files"):
        run(recipe(tmp_path / "data", source))
    events, report = run(recipe(tmp_path / "data", source | {"duplicates": "drop"}))
    assert events["amount"].sum() == sum(range(1, 12))
    assert report["rows_dropped"] == {"in_earlier_file": 8}
    events, _ = run(recipe(tmp_path / "kept", source | {"duplicates": "keep"}))
    assert events["amount"].sum() == sum(range(1, 12)) + sum(range(1, 9))


def test_files_that_share_most_rows_are_refused_and_few_are_not(tmp_path: Path) -> None:
    source = write(tmp_path, january=range(1, 10), later=range(6, 12))
    with pytest.raises(ValueError, match="later.csv: 4 of its 6 rows are in earlier files"):
        run(recipe(tmp_path / "data", source))
    events, _ = run(recipe(tmp_path / "data", source | {"duplicates": "drop"}))
    assert events["amount"].sum() == sum(range(1, 12))
    source = write(tmp_path, january=range(1, 10), later=range(8, 12))
    events, _ = run(recipe(tmp_path / "few", source))
    assert events.height == 13


def test_rows_repeated_within_a_file_are_not_those_of_another(tmp_path: Path) -> None:
    source = write(tmp_path, a=range(1, 4), b=range(4, 6))
    path = tmp_path / "lines" / "b.csv"
    path.write_text(path.read_text() + "".join(path.read_text().splitlines(True)[1:]) * 3)
    events, _ = run(recipe(tmp_path / "data", source | {"duplicates": "drop"}))
    assert events.height == 3 + 2 * 4


def test_a_later_file_that_holds_an_earlier_one_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path, january=range(1, 4), whole=range(1, 20))
    with pytest.raises(ValueError, match="whole.csv has 3 of the 3 rows of .*january.csv, too"):
        run(recipe(tmp_path / "data", source))


def test_rows_that_differ_in_a_column_that_is_not_read_are_not_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    for store in ("1", "2"):
        (folder / f"{store}.csv").write_text(f"c,t,p,store\n9,2024-01-01,5,{store}\n")
    events, _ = run(recipe(tmp_path / "data", {"path": str(folder), "columns": BASE}))
    assert events["amount"].sum() == 10
