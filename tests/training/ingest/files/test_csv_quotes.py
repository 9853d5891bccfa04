"""CSV files with quotes of all kinds: what they mean is read, or they are refused with row, column and remedy."""

import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.ingest.recipes import Read, amount
from training.ingest.files.csv_quotes import shape
from training.ingest.files.readers import distinct_names, opened
from training.ingest.sources import Source

COLUMNS = {"customer_id": "c", "occurred_at": "d", "amount": "a"}
HEADER = "c,d,a,t\n"
ROWS = [f"{number},2024-01-{number:02},{number}.5," for number in range(1, 9)]


T = "after the header, column 't', which begins"


def lines(*texts: str) -> str:
    """Rows of customers 1, 2 and so on, each with a text as it stands in the file."""
    return HEADER + "".join(f"{row}{text}\n" for row, text in zip(ROWS, texts, strict=False))


def test_marks_of_inches_in_cells_without_quotes_swallow_no_rows(read: Read) -> None:
    content = lines('Screen 17" black', "Hat", 'TV 42" new', "Cup")
    for changes in ({}, {"quote": "none"}):
        rows = read(content, columns=COLUMNS | {"text": "t"}, **changes)
        assert rows["customer_id"].to_list() == ["1", "2", "3", "4"]
        assert rows["amount"].sum() == 12.0
        assert rows["text"].to_list() == ['Screen 17" black', "Hat", 'TV 42" new', "Cup"]


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        (('"Hat', "TV", 'Cup 17"', "x"), "row 1 after the header, column 't'"),
        (('"Hat', 'Cup"', "x"), "row 1 after the header, column 't'"),
        (('"Hat', '"Cup', "x"), f"row 1 {T} '\"Hat': a quote is closed within a cell"),
        (("Hat", '"Cup', "x", "y"), f"row 2 {T} '\"Cup': a quote is opened and not closed"),
        (('"Hat" big', "Cup"), f"row 1 {T} '\"Hat\" big': a quote is closed within a cell"),
    ],
)
def test_quote_that_swallows_rows_is_refused_with_its_place(
    read: Read, texts: tuple[str, ...], place: str
) -> None:
    with pytest.raises(ValueError, match=f"{place}.*say `quote: none`"):
        read(lines(*texts), columns=COLUMNS)
    rows = read(lines(*texts), columns=COLUMNS | {"text": "t"}, quote="none")
    assert rows["text"].to_list() == list(texts)


def test_texts_of_several_lines_are_one_cell(read: Read) -> None:
    texts = ['"Great,\nwould buy again, really"', '"a ""quoted"" word,\n\nand more"', "short"]
    rows = read(lines(*texts), columns=COLUMNS | {"text": "t"})
    assert rows.height == 3
    assert rows["text"][0] == "Great,\nwould buy again, really"
    assert rows["text"][1] == 'a "quoted" word,\n\nand more'


def test_another_quote_and_an_escape(read: Read) -> None:
    texts = ["'It\\'s 17\", really'", "'two\nlines'"]
    rows = read(lines(*texts), columns=COLUMNS | {"text": "t"}, quote="'", escape="\\")
    assert rows["text"].to_list() == ["It's 17\", really", "two\nlines"]


def test_quote_and_escape_are_one_character(tmp_path: Path) -> None:
    for wrong in ({"quote": "''"}, {"escape": "ä"}, {"quote": ""}):
        with pytest.raises(ValueError, match="one ASCII character, or none"):
            Source.model_validate({"path": "x", "columns": COLUMNS, **wrong})


def test_empty_lines_and_skipped_lines_keep_the_numbers_of_rows(read: Read) -> None:
    content = 'made by "shop\n\n' + lines('17" a', "b") + "\n3,2024-01-03,bad,c\n"
    with pytest.raises(ValueError, match="row 4 after the header: amount is 'bad'"):
        read(content, columns=COLUMNS, skip_rows=1)


CELLS = st.text(st.sampled_from("ab1 ,;\"\n'é"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_a_program_wrote_by_the_rules_is_read_as_it_was_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    quoting: int,
    delimiter: str,
    line_end: str,
) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writerow(["c", "d", "t"])
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    path.write_bytes(buffer.getvalue().encode())
    table = Source.model_validate(
        {
            "path": str(path),
            "delimiter": delimiter,
            "null_values": [],
            "columns": {"customer_id": "c", "occurred_at": "d"},
        }
    )
    try:
        with opened(table, path) as found:
            frame = found.frame.collect()
    except ValueError as error:
        assert "its lines look like rows" in str(error)
        return
    expected = pl.DataFrame(rows, schema=["c", "d", "t"], orient="row")
    assert frame.height == found.num_rows == expected.height
    assert frame.fill_null("").equals(expected)


def test_columns_of_one_name_are_told_apart(read: Read) -> None:
    assert distinct_names(["a", "b", "a_duplicated_0", "a_duplicated_1"]) == [
        "a (1)",
        "b",
        "a (2)",
        "a (3)",
    ]
    content = "c,d,a,a\n1,2024-01-01,5,7\n"
    with pytest.raises(ValueError, match=r"unknown column 'a'.*'a \(1\)', 'a \(2\)'"):
        read(content, columns=COLUMNS)
    assert read(content, columns=COLUMNS | {"amount": "a (2)"})["amount"].to_list() == [7.0]


def test_shape_of_a_cell() -> None:
    assert [shape(text) for text in ("2024-01-05", " Hat 3", "ab_12", "")] == [
        "9-9-9",
        "a 9",
        "a_9",
        "",
    ]


@pytest.mark.parametrize("row", ["1,234.50,DE", "12,50,DE", "5,9,DE,x"])
def test_row_of_too_many_cells_is_refused_though_the_last_columns_are_not_read(
    read: Read, row: str
) -> None:
    content = f"c,d,a,country\n1,2024-01-01,3,DE\n2,2024-01-02,{row}\n"
    with pytest.raises(
        ValueError, match="row 2 after the header: . fields where the first line has 4"
    ):
        read(content, columns=COLUMNS)


def test_rows_that_are_too_short_are_told(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    rows = read("c,d,a,t\n1,2024-01-01,3\n\n2,2024-01-02,3,x\n", columns=COLUMNS)
    assert rows["amount"].to_list() == [3.0, None, 3.0]
    assert "1 rows have fewer cells than the first line" in caplog.text


@pytest.mark.parametrize(
    "odd", ["1500,2024-01-05,-1500.50,x", "1500,2024-01-05,12,x", ",2024-01-05,,x", "", "a\u0085b"]
)
def test_one_odd_line_does_not_hide_what_a_quote_swallowed(read: Read, odd: str) -> None:
    rows = [f"{n},2024-01-{n % 28 + 1:02},{n}.50,Item {n}" for n in range(1, 200)]
    rows[90] = '91,2024-01-07,91.50,"Item 91'
    rows[95] = odd
    rows[120] = '121,2024-01-10,121.50,Item 121"'
    with pytest.raises(ValueError, match="row 91 after the header, column 't'.*look like rows"):
        read("\n".join(["c,d,a,t", *rows]) + "\n", columns=COLUMNS)


def test_quote_in_the_first_column_that_swallows_rows_is_refused(read: Read) -> None:
    content = 't,c,d,a\nCup,1,2024-01-01,1.5\n"Mug,2,2024-01-02,2.5\nTV 42",3,2024-01-03,3.5\n'
    with pytest.raises(ValueError, match="row 2 after the header, column 't'.*look like rows"):
        read(content, columns=COLUMNS)


def test_lone_carriage_return_is_a_letter_of_its_cell(read: Read) -> None:
    content = HEADER + '1,2024-01-01,3,a\rb\n2,2024-01-02,4,TV 17" x\n'
    rows = read(content, columns=COLUMNS | {"text": "t"})
    assert rows["text"].to_list() == ["a\rb", 'TV 17" x']


def test_null_value_that_begins_with_the_escape_stays_null(read: Read) -> None:
    columns = {"customer_id": "column_1", "occurred_at": "column_2", "amount": "column_3"}
    content = "1\t2024-01-01\t5\n\\N\t2024-01-01\t\\N\n"
    rows = read(
        content, delimiter="\t", has_header=False, escape="\\", null_values=["\\N"], columns=columns
    )
    assert rows["customer_id"].to_list() == ["1", None]
    assert rows["amount"].to_list() == [5.0, None]


def test_escape_that_is_the_quote_means_that_quotes_are_doubled(read: Read) -> None:
    rows = read(lines('"a ""b"" c"', '"d"'), columns=COLUMNS | {"text": "t"}, escape='"')
    assert rows["text"].to_list() == ['a "b" c', "d"]


def test_cells_beyond_the_limit_of_the_csv_module_and_other_encodings(read: Read) -> None:
    content = HEADER + "a" * 200_000 + ',2024-01-01,5,17" x\n2,2024-01-01,5,6,7\n'
    with pytest.raises(ValueError, match="row 2 after the header: 5 fields"):
        read(content, columns=COLUMNS)
    with pytest.raises(ValueError, match="lines.csv is not utf-8; say its encoding"):
        read(lines('17" x', "é").encode("cp1252"), columns=COLUMNS)


@pytest.mark.parametrize(
    "rows",
    [
        [f'hat,",{n},2024-01-{n:02},{n}' for n in range(1, 9)],
        ["hat,x,9,2024-01-04,5", 'hat,",1,2024-01-05,1', 'cup,",2,2024-01-06,2'],
        ["hat,x,9,2024-01-04,5", 'hat,"Cup,1,2024-01-05,1', 'cup,big",2,2024-01-06,2'],
        ["hat,x,9,2024-01-04,5", 'hat,",1,2024-01-05,1', 'cup,x,",2024-01-06,2'],
        ['hat,",1,2024-01-05,1', 'cup,",2,2024-01-06,2'],
    ],
)
def test_quotes_that_mean_ditto_are_refused_though_no_digits_stand_before_them(
    read: Read, rows: list[str]
) -> None:
    content = "\n".join(["n,t,c,d,a", *rows]) + "\n"
    with pytest.raises(ValueError, match="column 't'.*look like rows; say `quote: none`"):
        read(content, columns=COLUMNS)


def test_quotes_that_mean_ditto_in_a_table_of_words_are_refused(read: Read) -> None:
    content = 'i,t,k\nhat,Hat,wear\ncap,",wear\ncup,",home\n'
    with pytest.raises(ValueError, match="row 2 after the header, column 't'.*look like rows"):
        read(content, columns=COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "12 Main St, Apt 4\nSpringfield, 12345",
        "5 stars, 2024\n10, 20 or 30, all fine",
        "Flat 3,\nOld Road 7,\nLeeds",
        ", and so on\nor not,",
        "\n",
    ],
)
def test_texts_of_several_lines_with_commas_and_digits_stay_readable(read: Read, text: str) -> None:
    content = f'n,t,c,d,a\nhat,x,9,2024-01-04,5\ncup,"{text}",1,2024-01-05,1\n'
    rows = read(content, columns=COLUMNS | {"text": "t"})
    assert rows["text"].to_list() == ["x", text.strip() or None]


@pytest.mark.parametrize("num_lines", [4, 100])
def test_ditto_marks_swallow_no_rows(read: Read, num_lines: int) -> None:
    lines = "".join(f'hat,",{row},2024-01-01,{row}\n' for row in range(num_lines))
    content = "n,d,c,t,p\n" + lines
    with pytest.raises(ValueError, match="column 'd': .*its lines look like rows.*quote: none"):
        read(content)
    assert read(content, quote="none")["amount"].sum() == sum(range(num_lines))


def test_addresses_of_several_lines_with_commas_are_one_cell(read: Read) -> None:
    content = 'c,a,t,p\n1,"Road 5, 2nd floor\n10115 Berlin",2024-01-01,5\n2,"x",2024-01-02,6\n'
    assert read(content)["amount"].to_list() == [5.0, 6.0]


def test_quoted_names_of_columns(read: Read) -> None:
    content = 'c,"size (\\")",t,p\r\n1,9,2024-01-01,5\r\n'
    assert read(content, escape="\\")["amount"].to_list() == [5.0]
    assert read('c,"p, net",t,p\n1,9,2024-01-01,5\n', **amount('"p, net" + p'))[
        "amount"
    ].to_list() == [14.0]
