"""CSV files that people open in a spreadsheet: no text in them may run as a formula."""

from pathlib import Path

import polars as pl

# A sign with which Excel, LibreOffice or Google Sheets begin a formula, full-width ones too, where a cell begins:
# at the start, or behind a line end or a separator that another locale splits at. Blanks do not hide it.
FORMULA = r"(^|[;\t\r\n])([\s\p{Cc}\p{Cf}]*[=+\-@＝＋－＠])"
CONTROL = r"^[\t\r\n]"
QUOTE = "'"  # spreadsheets show what follows as text


def write_spreadsheet_csv(table: pl.DataFrame, path: Path) -> int:
    """Write a CSV file with every text harmless and within double quotes; returns how many cells were changed.

    Numbers stay numbers, such as -12.5. The rule is OWASP's on CSV injection.
    """
    safe = table.with_columns(harmless(column) for column in table if column.dtype == pl.String)
    safe.write_csv(path, quote_style="non_numeric")
    return sum(int(table[name].ne_missing(safe[name]).sum()) for name in table.columns)


def harmless(texts: pl.Series) -> pl.Series:
    """Texts with a single quote before what a spreadsheet would take for a formula, or for the end of a cell."""
    found = texts.str.replace_all(FORMULA, f"${{1}}{QUOTE}${{2}}")
    is_plain = ~found.str.contains(CONTROL).fill_null(False)
    return found.zip_with(is_plain, QUOTE + found)
