"""report.html: whole HTML with the plots that people look at, whatever the metrics hold."""

import base64
import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import polars as pl

from tests.builders import TinyShop
from training.report.arena import write_report
from training.report.page import Estimate, Paragraph, Section, Table, number, write_page
from training.report.verdict import verdict_section
from training.results.arena import Results

VOID = {"meta", "img", "br"}


class Balance(HTMLParser):
    """Collects open tags, plots and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.plots: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            values = dict(attrs)
            self.plots[values["alt"] or ""] = values["src"] or ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(path: Path) -> Balance:
    text = path.read_text()
    assert text.startswith("<!doctype html>")
    assert not re.search(r"<script|(src|href)=\"?http", text)
    page = Balance()
    page.feed(text)
    assert page.open == []
    return page


def report_of(metrics: Mapping[str, object], artifact: Path, shop: TinyShop, path: Path) -> None:
    """The page about the tiny shop, had the arena found these metrics."""
    predictions = pl.read_parquet(artifact.parent / "predictions.parquet")
    test = pl.read_parquet(shop.examples / "test.parquet")
    write_report(path, Results.model_validate(metrics), predictions, test)


def test_report_of_the_arena_is_whole_and_has_its_plots(
    tiny_artifact: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    metrics = json.loads((tiny_artifact.parent / "metrics.json").read_text())
    report_of(metrics, tiny_artifact, tiny_shop, tmp_path / "report.html")
    plots = read(tmp_path / "report.html").plots
    for wanted in (
        "gain curves",
        "calibration of",
        "against actual",
        "number of orders",
        "calibration of churn",
        "first order",
        "over time",
        "integral transform",
        "stage later",
        "part by part",
    ):
        assert any(wanted in description for description in plots), wanted
    for source in plots.values():
        drawing = ElementTree.fromstring(
            base64.b64decode(source.removeprefix("data:image/svg+xml;base64,"))
        )
        assert len(list(drawing.iter())) > 50
    text = (tmp_path / "report.html").read_text()
    chosen = {name: found["rmse"] for name, found in metrics["selection"]["backtest"].items()}
    assert len(chosen) > 2 and all(f">{number(rmse)}</td>" in text for rmse in chosen.values())
    assert all(
        (f"champion minus {name}" in text) == (name != metrics["champion"])
        for name in metrics["models"]
    )
    top = metrics["customers"]["examples"][0]["features"][0]
    told = number(int(top["value"]) if top["value"].is_integer() else top["value"])
    assert f"{top['feature']} = {told} ({100 * top['effect']:+.0f} %)" in text
    rate = metrics["btyd_fits"]["bgnbd_gg"]["purchases"]["r"]
    assert f"r {rate:.4g} ±" in text and "the recipe: the data hold none" in text


def test_verdict_says_in_words_where_the_champion_is_beaten_and_what_encoders_and_the_budget_change(
    tiny_artifact: Path,
) -> None:
    metrics = json.loads((tiny_artifact.parent / "metrics.json").read_text())

    def told(**changes: object) -> str:
        section = verdict_section(Results.model_validate(metrics | changes))
        return " ".join(part.text for part in section.parts if isinstance(part, Paragraph))

    unclear = {"mae": [1.0, -1.0, 3.0], "gini": [0.01, -0.1, 0.1], "rmse": None}
    better = {"mae": [2.0, 1.0, 3.0], "gini": [-0.02, -0.03, -0.01], "rmse": [-3.0, -5.0, -1.0]}
    text = told(
        champion_minus={"persistence": better},
        llama_gain={metric: [0.0, 0.0, 0.0] for metric in unclear},
    )
    bias = metrics["models"]["persistence"]["bias"]
    beaten = f"persistence is clearly better than {metrics['champion']} in mae, gini; its total is {bias:.2f} times"
    assert beaten in text and "No model is clearly better" not in text
    assert "encoders against without: the same, since none has a share." in text
    text = told(
        models=metrics["models"] | {"stack_over_budget": metrics["models"]["persistence"]},
        champion_minus={"persistence": unclear, "stack_over_budget": unclear},
        llama_gain=unclear,
        selection=metrics["selection"] | {"unsupported": {"lightgbm": "needs 200 customers: 3"}},
    )
    assert "No model is clearly better" in text
    assert "encoders against without: mae +1 (-1 to +3), not clear; gini" in text
    assert "The score budget keeps encoders out of the stack." in text
    assert "lightgbm was judged, but could not be chosen: needs 200 customers: 3." in text


def test_report_without_spend_or_defined_metrics(
    tiny_artifact: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    metrics = json.loads((tiny_artifact.parent / "metrics.json").read_text())
    for entry in metrics["models"].values():
        entry |= {"gini": None, "bias": None}
        entry["ci"] |= {"gini": None, "bias": None}
    metrics["recommendation"] = {"next_basket": {}}
    metrics["recommender"]["model"] = None
    predictions = pl.read_parquet(tiny_artifact.parent / "predictions.parquet").with_columns(
        actual=pl.lit(0.0)
    )
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    results = Results.model_validate(metrics)
    write_report(tmp_path / "report.html", results, predictions, test)
    assert len(read(tmp_path / "report.html").plots) == 10


def test_numbers_have_the_digits_that_tell_something() -> None:
    shown = [
        number(value) for value in (1234567, 2063.4, -334.84, 21.875, 0.0414, 1.0, 0.00041, 0.0)
    ]
    assert shown == ["1,234,567", "2,063", "-334.8", "21.88", "0.041", "1.000", "0.00041", "0.000"]


def test_cells_have_their_interval_and_verdict_and_the_chosen_row_stands_out(
    tmp_path: Path,
) -> None:
    rows = [["a", Estimate(-2.5, -4.0, -1.0, "better")], ["b", Estimate(3.0)], ["c", None]]
    table = Table(["model", "mae"], rows, "a")
    write_page(tmp_path / "page.html", "title", [Section("heading", [table])])
    made = (tmp_path / "page.html").read_text()
    assert (
        '<tr class="marked"><td>a</td><td class="number better">-2.500<small>-4.000 to -1.000, better</small></td>'
        in made
    )
    assert '<tr><td>b</td><td class="number">3.000</td></tr>' in made
    assert '<tr><td>c</td><td class="number">–</td></tr>' in made
    assert '<th>model</th><th class="number">mae</th>' in made


def test_names_are_escaped(tiny_artifact: Path, tiny_shop: TinyShop, tmp_path: Path) -> None:
    metrics = json.loads((tiny_artifact.parent / "metrics.json").read_text())
    champion, name = metrics["champion"], "<b>&</b>"
    metrics["models"] = {name: metrics["models"][champion]}
    metrics["champion"], metrics["champion_minus"] = name, {}
    predictions = pl.read_parquet(tiny_artifact.parent / "predictions.parquet")
    chosen = predictions.filter(pl.col("model") == champion).with_columns(model=pl.lit(name))
    write_report(
        tmp_path / "report.html",
        Results.model_validate(metrics),
        chosen,
        pl.read_parquet(tiny_shop.examples / "test.parquet"),
    )
    read(tmp_path / "report.html")
    assert name not in (tmp_path / "report.html").read_text()
