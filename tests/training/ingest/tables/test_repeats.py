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
    with pytest.raises(ValueError, match="copy.csv equals .*a.csv byte for byte; say duplicates"):
        run(recipe(tmp_path / "data", source))
    events, report = run(recipe(tmp_path / "data", source | {"duplicates": "drop"}))
    assert events["amount"].sum() == sum(range(1, 12))
    assert report["rows_dropped"] == {"in_earlier_file": 8}
    events, _ = run(recipe(tmp_path / "kept", source | {"duplicates": "keep"}))
    assert events["amount"].sum() == sum(range(1, 12)) + sum(range(1, 9))


def test_a_copy_of_a_file_is_refused_whatever_rule_its_ids_have(tmp_path: Path) -> None:
    source = write(tmp_path, a=range(1, 9), copy=range(1, 9))
    source = source | {"columns": BASE | {"event_id": "p"}}
    with pytest.raises(ValueError, match="copy.csv equals .*a.csv byte for byte; say duplicates"):
        run(recipe(tmp_path / "data", source, on_repeated_id="latest"))
    assert not (tmp_path / "data").exists()


def test_files_of_a_header_alone_are_no_copies(tmp_path: Path) -> None:
    source = write(tmp_path, a=range(1, 9), closed=range(0), holiday=range(0))
    events, _ = run(recipe(tmp_path / "data", source))
    assert events.height == 8


def test_a_column_that_a_file_lacks_is_empty_there(tmp_path: Path) -> None:
    """As programs write it that leave out of a file of JSON what no row of it has."""
    source = write(tmp_path, a=range(1, 4))
    (tmp_path / "lines" / "b.csv").write_text("note,t,p,c\n,2024-01-01,1,1\nnew,2024-01-02,2,2\n")
    source = source | {"drop_exact_duplicates": True, "duplicates": "keep"}
    events, report = run(recipe(tmp_path / "data", source))
    assert report["rows_dropped"] == {"exact_duplicate": 1}
    assert events.height == 4


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


def test_copies_are_told_by_what_the_recipe_reads(tmp_path: Path) -> None:
    """Whatever the order of the columns and whatever else the files hold."""
    folder = tmp_path / "lines"
    copies = {
        "order": "p,t,c\n5,2024-01-01,9\n6,2024-01-02,8\n",
        "added": "c,t,p,exported_at\n9,2024-01-01,5,today\n8,2024-01-02,6,today\n",
        "digits": "c,t,p\n9.0,2024-01-01,5.0\n8.0,2024-01-02,6.00\n",
        "snapshot=2024-02-01/same": "c,t,p\n9,2024-01-01,5\n8,2024-01-02,6\n",
    }
    for name, content in copies.items():
        write(tmp_path)
        (folder / "first.csv").write_text("c,t,p\n9,2024-01-01,5\n8,2024-01-02,6\n")
        copy = folder / f"{name}.csv"
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(content)
        source = {"path": str(folder), "columns": BASE}
        with pytest.raises(ValueError, match="rows are in earlier files, too|byte for byte"):
            run(recipe(tmp_path / "data", source))
        events, report = run(
            recipe(tmp_path / f"{copy.stem}-once", source | {"duplicates": "drop"})
        )
        assert (events["amount"].sum(), report["rows_dropped"]) == (11, {"in_earlier_file": 2})
        copy.unlink()


def test_rows_told_apart_by_a_column_that_is_read_are_not_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    for store in ("1", "2"):
        (folder / f"{store}.csv").write_text(f"c,t,p,store\n9,2024-01-01,5,{store}\n")
    columns = BASE | {"order_id": "store"}
    events, _ = run(recipe(tmp_path / "data", {"path": str(folder), "columns": columns}))
    assert events["amount"].sum() == 10


def test_orders_exported_again_with_another_note_are_the_same_and_reviews_are_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    (folder / "1.csv").write_text("c,t,p,n\n1,2024-01-01,5,new\n2,2024-01-02,6,new\n")
    (folder / "2.csv").write_text("c,t,p,n\n1,2024-01-01,5,sent\n2,2024-01-02,6,sent\n")
    source = {"path": str(folder), "columns": BASE | {"text": "n"}}
    with pytest.raises(ValueError, match="2.csv: 2 of its 2 rows are in earlier files, too"):
        run(recipe(tmp_path / "data", source))
    events, report = run(recipe(tmp_path / "all", source | {"duplicates": "drop"}))
    assert (events.height, report["rows_dropped"]) == (4, {}), (
        "left out is what is equal to the letter"
    )
    reviews = {"path": str(folder), "columns": BASE | {"text": "n"}, "kind": "review"}
    assert run(recipe(tmp_path / "reviews", reviews))[0].height == 4


def test_two_sources_of_one_file_are_refused_unless_they_read_other_rows(tmp_path: Path) -> None:
    source = write(tmp_path, a=range(1, 9))
    twice = {"path": str(tmp_path / "lines" / "a.csv"), "columns": BASE}
    with pytest.raises(ValueError, match="a.csv: 8 of its 8 rows are in earlier files"):
        run(recipe(tmp_path / "data", source, twice))
    events, _ = run(recipe(tmp_path / "views", source, twice | {"kind": "view"}))
    assert events.height == 16
    halves = [source | {"filter": {"sql": sql}} for sql in ("p < 4", "p >= 4")]
    events, _ = run(recipe(tmp_path / "halves", *halves))
    assert events.height == 8


def test_of_equal_rows_as_many_are_dropped_as_an_earlier_file_has(tmp_path: Path) -> None:
    source = write(tmp_path, a=range(1, 4))
    (tmp_path / "lines" / "b.csv").write_text(
        "c,t,p\n1,2024-01-01,1\n1,2024-01-01,1\n1,2024-01-01,1\n"
    )
    events, report = run(recipe(tmp_path / "data", source | {"duplicates": "drop"}))
    assert report["rows_dropped"] == {"in_earlier_file": 1}
    assert events["amount"].sum() == 1 + 2 + 3 + 2


def test_a_correction_taken_back_is_no_copy(tmp_path: Path) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    for number, amount in enumerate((10, 99, 10)):
        (folder / f"{number}.csv").write_text(f"i,c,t,p\n1,9,2024-01-01,{amount}\n")
    source = {"path": str(folder), "columns": BASE | {"event_id": "i"}, "duplicates": "drop"}
    for number, keys in enumerate(({}, {"duplicates": "keep", "drop_exact_duplicates": True})):
        output = tmp_path / str(number)
        events, report = run(recipe(output, source | keys, on_repeated_id="latest"))
        assert events["amount"].to_list() == [10.0]
        assert report["rows_dropped"] == {"duplicate_event_id": 1, "replaced_event_id": 1}


def test_rows_without_an_id_are_compared_also_where_ids_decide_on_the_others(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "lines"
    folder.mkdir()
    same = ["i,c,t,p", ",9,2024-01-01,5", "A,9,2024-01-01,7"]
    others = [f"{name},8,2024-01-02,1" for name in "BC"]
    (folder / "1.csv").write_text("\n".join(same))
    (folder / "2.csv").write_text("\n".join([*same, *others]))
    source = {"path": str(folder), "columns": BASE | {"event_id": "i"}}
    once = recipe(tmp_path / "once", source | {"duplicates": "drop"}, on_repeated_id="latest")
    events, report = run(once)
    assert events["amount"].sum() == 5 + 7 + 1 + 1
    assert report["rows_dropped"] == {"in_earlier_file": 1, "duplicate_event_id": 1}
    events, _ = run(recipe(tmp_path / "few", source, on_repeated_id="latest"))
    assert events["amount"].sum() == 2 * 5 + 7 + 1 + 1
    (folder / "2.csv").write_text("\n".join(same))
    with pytest.raises(ValueError, match="2.csv equals .*1.csv byte for byte"):
        run(recipe(tmp_path / "equal", source, on_repeated_id="latest"))


def test_copies_that_are_dropped_take_no_lines_from_orders(tmp_path: Path) -> None:
    (tmp_path / "lines").mkdir()
    rows = [f"{n},2024-01-{1 + n:02},{n},O{n // 2}\n" for n in range(8)]
    for name, part in (("a", rows[:5]), ("b", rows[3:])):
        (tmp_path / "lines" / f"{name}.csv").write_text("c,t,p,o\n" + "".join(part))
    source = {"path": str(tmp_path / "lines"), "columns": BASE | {"order_id": "o"}}
    _, report = run(recipe(tmp_path / "data", source | {"duplicates": "drop"}))
    assert report["rows_dropped"] == {"in_earlier_file": 2}
    assert report["orders_half_dropped"] == {}
