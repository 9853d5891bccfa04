"""What is wrong with a CSV record that no reader can follow: the rule, its cell and the remedy."""

from training.ingest.sources import Table

MAX_CELL_LETTERS = 16 << 20
SHOWN_LETTERS = 40
REMEDY = "say `quote: none` where no cell is quoted, or the `quote` and `escape` of the program that wrote it"


def csv_problem(error: str, record: str, names: list[str], table: Table) -> str:
    """What Python's csv module found wrong with a record, in the recipe's terms, as it follows the record's place.

    `record` is the text of its lines, `names` are those of the columns, as far as they are known.
    """
    cell = _broken_cell(record.lstrip("\r\n"), names, table)
    if "unexpected end of data" in error:
        return f"{cell}: a quote is opened and not closed; {REMEDY}"
    if "expected after" in error:
        return f"{cell}: a quote is closed within a cell: {error}; {REMEDY}"
    if "field larger than" in error:
        return f"{cell}: a cell has more than {MAX_CELL_LETTERS} letters; is a quote opened and not closed?"
    return f"{cell}: {error}"


def _broken_cell(record: str, names: list[str], table: Table) -> str:
    """The first cell of a record whose quote is closed before its end or never: column 'note', which begins '...'."""
    number, begin, is_inside = 1, 0, False
    place = 0
    while place < len(record):
        letter = record[place]
        behind = record[place + 1 : place + 2]
        if letter == table.escape_character or (
            is_inside and letter == behind == table.quote_character
        ):
            place += 1  # the next letter belongs to the cell
        elif letter == table.quote_character and is_inside:
            if behind not in ("", "\r", "\n", table.delimiter):
                break
            is_inside = False
        elif letter == table.quote_character and place == begin:
            is_inside = True
        elif letter == table.delimiter and not is_inside:
            number += 1
            begin = place + 1
        place += 1
    name = repr(names[number - 1]) if number <= len(names) else str(number)
    first_line = record[begin:].split("\n", 1)[0].rstrip("\r")
    return f"column {name}, which begins {first_line[:SHOWN_LETTERS]!r}"
