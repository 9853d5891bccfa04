"""Files of exports and results, read and written without the product."""

import csv
import json
from pathlib import Path
from typing import Any

Row = tuple[str | int | float, ...]


def write_csv(path: Path, header: str, rows: list[Row], delimiter: str = ",") -> None:
    """A CSV file with cells quoted where they need it."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header.split(delimiter))
        writer.writerows(rows)


def rows_of(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a CSV file as Python reads them."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())
