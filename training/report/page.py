"""Self-contained HTML pages with tables and plots; no script, no outside resource."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Found = Mapping[str, object]  # a JSON object of metrics.json
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; margin: .5rem 0; display: block; overflow-x: auto }
.figure { overflow-x: auto } .figure img { max-width: 100%; min-width: 40rem }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; border-bottom: 1px solid #e3e7ee }
td.number, th.number { text-align: right }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap }
td small { display: block; color: #6b7688 }
tr.marked td { background: #eef3fd; font-weight: 600 } tr.marked small { font-weight: 400 }
td.better { color: #12803f } td.worse { color: #c0223b }
"""


@dataclass(frozen=True)
class Estimate:
    """A cell of a table: a number, the ends of its interval where they are known, and `better` or `worse` if it is."""

    value: float
    low: float | None = None
    high: float | None = None
    verdict: str = ""


def mapping(value: object) -> Found:
    """What is a JSON object."""
    assert isinstance(value, dict)
    return value


def new_figure(width: float = 8.0, height: float = 3.2) -> Figure:
    """An empty figure in the house style, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def image(figure: Figure, description: str) -> str:
    """A figure as an <img> with its drawing inside the page."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    drawn = f'<img alt="{html.escape(description)}" src="data:image/svg+xml;base64,{encoded}">'
    return f'<div class="figure">{drawn}</div>'  # on a phone it is scrolled, not shrunk until nobody can read it


def bar_chart(values: Mapping[str, object], unit: str) -> str:
    """One bar per key."""
    figure = new_figure()
    axes = figure.subplots()
    positions = range(len(values))
    axes.bar(positions, [float(str(value)) for value in values.values()], color="#3867d6")
    axes.set_xticks(
        positions, list(values)
    )  # keys such as 2017-01 are labels, not numbers or dates
    axes.set_ylabel(unit)
    axes.tick_params(axis="x", rotation=45 if len(values) > 8 else 0)
    return image(figure, f"{unit} by {', '.join(values)}")


def table(values: Mapping[str, object]) -> str:
    """Two columns: key and value."""
    return grid(
        [], [[key, number(value) if _is_number(value) else value] for key, value in values.items()]
    )


def grid(header: Sequence[str], rows: Sequence[Sequence[object]], marked: str | None = None) -> str:
    """A table; numbers are right-aligned, None is a dash. The rows that begin with `marked` stand out."""
    kinds = [
        "" if any(map(_is_text, column)) else ' class="number"'
        for column in zip(*rows, strict=True)
    ]
    head = "".join(
        f"<th{kind}>{html.escape(name)}</th>"
        for name, kind in zip_longest(header, kinds, fillvalue="")
    )
    marks = [' class="marked"' if marked is not None and row[0] == marked else "" for row in rows]
    body = "".join(
        f"<tr{mark}>{''.join(map(_cell, row))}</tr>" for mark, row in zip(marks, rows, strict=True)
    )
    return f"<table>{f'<tr>{head}</tr>' if header else ''}{body}</table>"


def number(value: object) -> str:
    """A number as people read it: about three digits that tell something, thousands and integers whole."""
    assert isinstance(value, int | float)
    if isinstance(value, int):
        return f"{value:,d}"
    if 0 < abs(value) < 0.01:
        return f"{value:.2g}"
    digits = next(
        (digits for least, digits in ((1000, 0), (100, 1), (10, 2)) if abs(value) >= least), 3
    )
    return f"{value:,.{digits}f}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return not (value is None or isinstance(value, Estimate) or _is_number(value))


def _cell(value: object) -> str:
    if isinstance(value, Estimate):
        told = f", {value.verdict}" if value.verdict else ""
        interval = (
            f"<small>{number(value.low)} to {number(value.high)}{told}</small>"
            if value.low is not None
            else ""
        )
        kind = f"number {value.verdict}".strip()
        return f'<td class="{kind}">{number(value.value)}{interval}</td>'
    if _is_number(value):
        return f'<td class="number">{number(value)}</td>'
    return '<td class="number">–</td>' if value is None else f"<td>{html.escape(str(value))}</td>"


def write_page(path: Path, title: str, sections: Sequence[tuple[str, str]]) -> None:
    """Write one page of (heading, HTML) sections."""
    body = "".join(f"<h2>{html.escape(heading)}</h2>{content}" for heading, content in sections)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    )
    head += f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    body = f"<body><h1>{html.escape(title)}</h1>{body}</body>"
    path.write_text(
        f'<!doctype html><html lang="en"><head>{head}</head>{body}</html>\n', encoding="utf-8"
    )
