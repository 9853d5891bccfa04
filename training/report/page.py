"""Self-contained HTML pages, filled in from templates; no script, no outside resource."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

DIGITS = ((1000, 0), (100, 1), (10, 2))  # after the point, of numbers at least so large


@dataclass(frozen=True)
class Estimate:
    """A cell of a table: a number, the ends of its interval where they are known, and `better` or `worse` if it is."""

    value: float
    low: float | None = None
    high: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Written:
    """A cell of a table: a number that is written already, with a unit or as few digits as tell something."""

    text: str


Cell = str | int | float | Estimate | Written | None


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    text: str
    template: ClassVar[str] = "paragraph.html"


@dataclass(frozen=True)
class Table:
    """Rows of cells under a caption; numbers are right-aligned, None is a dash, rows beginning with `marked` stand out.

    The order is that of reading: what it shows, the columns, the rows.
    """

    caption: str
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
    """What stands under one heading; a chapter begins with the section that is given its name."""

    heading: str
    parts: Sequence[Part]
    chapter: str = ""


def facts(caption: str, values: Mapping[str, Cell]) -> Table:
    """A table of two columns, key and value; numbers are left-aligned as text is."""
    rows = [
        [key, number(value) if isinstance(value, int | float) else value]
        for key, value in values.items()
    ]
    return Table(caption, [], rows)


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


def legend_above(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """The legend of a plot, where no bar and no curve can lie."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=8)


def bar_chart(values: Mapping[str, float], unit: str, counted: str) -> Picture:
    """One bar per key, which counts in `unit`."""
    figure = new_figure()
    axes = figure.subplots()
    positions = range(len(values))
    axes.bar(positions, list(values.values()), color="#3867d6")
    axes.set_xticks(positions, list(values))
    axes.set_xlabel(unit)
    axes.set_ylabel(counted)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    return picture(figure, f"{counted} by {unit}")


def number(value: float) -> str:
    """A number as people read it: about three digits that tell something, thousands and integers whole."""
    if isinstance(value, int):
        return f"{value:,d}"
    size = abs(value)
    if 0 < size < 0.01:
        return f"{value:.2g}"
    digits = next((digits for least, digits in DIGITS if size >= least), 3)
    return f"{value:,.{digits}f}"


def percent(share: float) -> str:
    """`12 %`, of less than a tenth `1.2 %`."""
    digits = 0 if abs(share) >= 0.1 else 1
    return f"{100 * share:.{digits}f}".removesuffix(".0") + " %"


def share_cell(share: float | None) -> Written | None:
    """A share as a cell."""
    return None if share is None else Written(percent(share))


def money(amount: float) -> str:
    """An amount of money, from a hundred on in whole units."""
    return f"{amount:,.{0 if abs(amount) >= 100 else 2}f}"


def money_cell(amount: float | None) -> Written | None:
    """An amount as a cell; its currency stands in the header."""
    return None if amount is None else Written(money(amount))


def label_money(axes: Axes, label: str, size: float | None = None) -> None:
    """The unit of the y axis, and its thousands set apart where it has any."""
    axes.set_ylabel(label, fontsize=size)
    if max(map(abs, axes.get_ylim())) >= 100:
        axes.yaxis.set_major_formatter("{x:,.0f}")


def write_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write one page."""
    templates = Environment(
        loader=PackageLoader("training.report"), autoescape=True, undefined=StrictUndefined
    )
    templates.filters["number"] = number
    page = templates.get_template("page.html").render(title=title, sections=sections)
    path.write_text(page, encoding="utf-8")
