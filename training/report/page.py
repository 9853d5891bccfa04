"""Self-contained HTML pages, filled in from templates; no script, no outside resource."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

MANY_BARS = 8  # whose labels stand aslant
DIGITS = ((1000, 0), (100, 1), (10, 2))  # after the point, of numbers at least so large


@dataclass(frozen=True)
class Estimate:
    """A cell of a table: a number, the ends of its interval where they are known, and `better` or `worse` if it is."""

    value: float
    low: float | None = None
    high: float | None = None
    verdict: str = ""


Cell = str | int | float | Estimate | None


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: str
    template: ClassVar[str] = "paragraph.html"


@dataclass(frozen=True)
class Table:
    """Rows of cells; numbers are right-aligned, None is a dash. The rows that begin with `marked` stand out."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    marked: str | None = None
    template: ClassVar[str] = "table.html"

    @property
    def holds_numbers(self) -> list[bool]:
        """Of each column, whether no cell of it is text."""
        if not self.rows:
            return [False] * len(self.header)
        return [str not in map(type, column) for column in zip(*self.rows, strict=True)]


@dataclass(frozen=True)
class Picture:
    """A drawing that lies inside the page: `source` is a data URL."""

    source: str
    description: str
    template: ClassVar[str] = "picture.html"


Part = Paragraph | Table | Picture


@dataclass(frozen=True)
class Section:
    """What stands under one heading."""

    heading: str
    parts: Sequence[Part]


def facts(values: Mapping[str, Cell]) -> Table:
    """A table of two columns, key and value; numbers are left-aligned as text is."""
    rows = [
        [key, number(value) if isinstance(value, int | float) else value]
        for key, value in values.items()
    ]
    return Table([], rows)


def new_figure(width: float = 8.0, height: float = 3.2) -> Figure:
    """An empty figure in the house style, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def picture(figure: Figure, description: str) -> Picture:
    """A figure as it stands in the page."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/svg+xml;base64,{encoded}", description)


def bar_chart(values: Mapping[str, float], unit: str) -> Picture:
    """One bar per key."""
    figure = new_figure()
    axes = figure.subplots()
    positions = range(len(values))
    axes.bar(positions, list(values.values()), color="#3867d6")
    # Keys such as 2017-01 are labels, not numbers or dates.
    axes.set_xticks(positions, list(values))
    axes.set_ylabel(unit)
    axes.tick_params(axis="x", rotation=45 if len(values) > MANY_BARS else 0)
    return picture(figure, f"{unit} by {', '.join(values)}")


def number(value: float) -> str:
    """A number as people read it: about three digits that tell something, thousands and integers whole."""
    if isinstance(value, int):
        return f"{value:,d}"
    size = abs(value)
    if 0 < size < 0.01:
        return f"{value:.2g}"
    digits = next((digits for least, digits in DIGITS if size >= least), 3)
    return f"{value:,.{digits}f}"


def write_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write one page."""
    templates = Environment(
        loader=PackageLoader("training.report"), autoescape=True, undefined=StrictUndefined
    )
    templates.filters["number"] = number
    page = templates.get_template("page.html").render(title=title, sections=sections)
    path.write_text(page, encoding="utf-8")
