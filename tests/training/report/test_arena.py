"""report.html: whole HTML with the plots that people look at, whatever the metrics hold."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from tests.builders import TinyShop
from training.report.answer.verdict import MEANING, verdict_section
from training.report.answer.worth import answer_sections
from training.report.arena import write_report
from training.report.churn import churn_section
from training.report.models import value_section
from training.report.page import Estimate, Paragraph, Section, Table, money, number, write_page
from training.report.words.features import feature_words
from training.report.words.models import capital, in_sentence, model_words
from training.results.arena import Results

VOID = {"meta", "img", "br"}


@dataclass
class Read:
    """A table of a page."""

    caption: str = ""
    num_rows: int = 0  # below the header
    cells: list[str] = field(default_factory=list)


class Balance(HTMLParser):
    """Collects open tags, plots, headings, tables and all text that people see."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.plots: dict[str, str] = {}
        self.headings: list[str] = []
        self.tables: list[Read] = []
        self.text = ""
        self.new_row = False

    def handle_data(self, data: str) -> None:
        if "style" in self.open or not data.strip():
            return
        self.text += f"{data} "
        if self.open[-1] in ("h2", "h3"):
            self.headings.append(data)
        if "caption" in self.open:
            self.tables[-1].caption += data
        elif "td" in self.open:
            self.tables[-1].cells.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append(Read())
        if tag == "td" and self.open[-2] == "tr" and self.new_row:
            self.tables[-1].num_rows += 1
        self.new_row = tag == "tr"
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


def metrics_of(artifact: Path) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads((artifact.parent / "metrics.json").read_text())
    return metrics


@pytest.fixture(scope="module")
def report(
    tiny_artifact: Path, tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The page about the tiny shop, with a group of customers on which no ranker was judged."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    metrics = metrics_of(tiny_artifact)
    nobody = {"hr@10": None, "ndcg@10": None, "recall@20": None, "ndcg@20": None}
    metrics["recommendation"]["next_basket"]["new"] = {
        "popularity": nobody | {"coverage": None, "num_customers": 0}
    }
    report_of(metrics, tiny_artifact, tiny_shop, path)
    return path


def test_report_of_the_arena_is_whole_and_has_its_plots(tiny_artifact: Path, report: Path) -> None:
    metrics = metrics_of(tiny_artifact)
    plots = read(report).plots
    for wanted in (
        "gain curves",
        "calibration of",
        "against actual",
        "number of orders",
        "calibration of churn",
        "first order",
        "by window",
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
    text = report.read_text()
    chosen = {name: found["rmse"] for name, found in metrics["selection"]["backtest"].items()}
    assert len(chosen) > 2 and all(f">{number(rmse)}</td>" in text for rmse in chosen.values())
    ours = model_words(metrics["champion"])
    assert all(
        (f">{ours} minus {model_words(name)}<" in text) == (name != metrics["champion"])
        for name in metrics["models"]
    )
    top = metrics["customers"]["examples"][0]["features"][0]
    told = number(int(top["value"]) if top["value"].is_integer() else top["value"])
    assert f"{feature_words(top['feature'])} {told}" in text
    assert f"({100 * top['effect']:+.0f} %)" in text
    rate = metrics["btyd_fits"]["bgnbd_gg"]["purchases"]["r"]
    assert f"r {rate:.4g} ±" in text and "nothing: data and recipe say none" in text


def test_report_opens_with_the_answer(tiny_artifact: Path, report: Path) -> None:
    metrics = metrics_of(tiny_artifact)
    page = read(report)
    assert page.headings[:6] == [
        "The answer",
        "What the customers are worth, and with whom it lies",
        "Whom to act on first",
        "Which model says so, and how far to trust it",
        "Season and trend",
        "The evidence",
    ]
    worth = metrics["worth"]
    error = metrics["total_error"]
    spend = worth["spend"]
    low, high = (money(spend * error[end]) for end in ("low", "high"))
    currency = metrics["currency"]
    text = report.read_text()
    assert f"spend {money(spend)} {currency} (80 % interval: {low} to {high} {currency})" in text
    for window in error["windows"]:
        assert f"{window['bias']:.2f} times what came from {window['cutoff']}" in text
    assert worth["first"][0]["customer_id"] in text


def test_tables_are_labelled_have_rows_and_stand_once_and_names_are_words(
    tiny_artifact: Path, report: Path
) -> None:
    metrics = metrics_of(tiny_artifact)
    page = read(report)
    assert len(page.tables) > 15
    for table in page.tables:
        assert table.caption and table.num_rows > 0, table
    contents = ["|".join(table.cells) for table in page.tables]
    assert len(set(contents)) == len(contents)
    codes = re.findall(r"\w+_\w+", page.text)
    groups = [group for task in metrics["recommendation"].values() for group in task.values()]
    names = {*metrics["models"], *(name for group in groups for name in group)}
    captions = [table.caption for table in page.tables[-2:]]
    assert captions == ["Models of value", "Rankers of items"]
    assert sorted(codes) == sorted(name for name in names if "_" in name), (
        "names of models stand in the last tables, and no others anywhere"
    )


def test_judged_as_served_is_told_where_plans_decide(tiny_artifact: Path, tmp_path: Path) -> None:
    metrics = metrics_of(tiny_artifact)
    served = f"{capital(in_sentence(metrics['champion']))} is judged as it is served"
    decided = {"paid": {"num_customers": 3, "clv": 10.0, "spend": 5.0}}
    for standings in ({}, decided):
        worth = metrics["worth"] | {"standings": standings}
        results = Results.model_validate(metrics | {"worth": worth})
        write_report(tmp_path / "report.html", results, pl.DataFrame(), None)
        assert (served in (tmp_path / "report.html").read_text()) is bool(standings)


def test_model_of_churn_is_named_for_those_of_whom_it_tells(tiny_artifact: Path) -> None:
    metrics = metrics_of(tiny_artifact)
    other = "lightgbm" if metrics["champion"] != "lightgbm" else "hurdle"
    churn = metrics["churn"] | {"model": other}
    everybody = metrics["worth"]["num_customers"]
    for num_paid, told in ((0, "Of all customers"), (3, "Of the others"), (everybody, None)):
        paid = {"num_customers": num_paid, "clv": 10.0, "spend": 5.0}
        worth = metrics["worth"] | {"standings": {"paid": paid} if num_paid else {}}
        section = verdict_section(
            Results.model_validate(metrics | {"worth": worth, "churn": churn})
        )
        text = " ".join(part.text for part in section.parts if isinstance(part, Paragraph))
        sentence = f"{told} {in_sentence(other)} tells who buys nothing"
        assert sentence in text if told else "who buys nothing" not in text


def test_verdict_says_in_words_where_the_champion_is_beaten_and_what_encoders_and_the_budget_change(
    tiny_artifact: Path,
) -> None:
    metrics = metrics_of(tiny_artifact)

    def told(**changes: object) -> str:
        section = verdict_section(Results.model_validate(metrics | changes))
        return " ".join(part.text for part in section.parts if isinstance(part, Paragraph))

    ours = in_sentence(metrics["champion"])
    unclear = {"mae": [1.0, -1.0, 3.0], "gini": [0.01, -0.1, 0.1], "rmse": None}
    better = {"mae": [2.0, 1.0, 3.0], "gini": [-0.02, -0.03, -0.01], "rmse": [-3.0, -5.0, -1.0]}
    text = told(
        champion_minus={"persistence": better},
        llama_gain={metric: [0.0, 0.0, 0.0] for metric in unclear},
    )
    bias = metrics["models"]["persistence"]["bias"]
    beaten = f"Persistence is clearly better than {ours} in mean absolute error and Gini: {MEANING['mae']}"
    assert beaten in text and MEANING["gini"] in text and MEANING["rmse"] not in text
    assert f"Its total is {bias:.2f} times" in text and "No model is clearly better" not in text
    assert "encoders against without: the same, since none has a share." in text
    text = told(
        models=metrics["models"] | {"stack_over_budget": metrics["models"]["persistence"]},
        champion_minus={"persistence": unclear, "stack_over_budget": unclear},
        llama_gain=unclear,
        selection=metrics["selection"]
        | {"unsupported": dict.fromkeys(("lightgbm", "ziln"), "needs 200 customers: 3")},
    )
    assert "No model is clearly better" in text
    assert "against without: mean absolute error +1 (-1 to +3), not clear; Gini" in text
    assert "The score budget keeps encoders out of the stack." in text
    too_few = "LightGBM and the ZILN network were judged, but could not be chosen: needs 200 customers: 3."
    assert too_few in text
    text = told(champion_minus={"persistence": better, "hurdle": better})
    assert f"Persistence and the hurdle model are each clearly better than {ours} in" in text
    assert text.count(MEANING["mae"]) == 1, "what is alike is told once"
    theirs = metrics["models"]["hurdle"]["bias"]
    assert f"{bias:.2f} (persistence) and {theirs:.2f} (the hurdle model) times the actual" in text


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.95, 1.05, "held well"), (0.9, 1.15, "some reserve"), (0.5, 2.0, "Totals are rough")],
)
def test_verdict_trusts_a_total_as_far_as_its_interval_goes(
    tiny_artifact: Path, low: float, high: float, words: str
) -> None:
    metrics = metrics_of(tiny_artifact)
    metrics["total_error"] |= {"low": low, "high": high}
    section = verdict_section(Results.model_validate(metrics))
    told = [part.text for part in section.parts if isinstance(part, Paragraph)]
    assert any(words in text for text in told)


def test_report_without_spend_or_defined_metrics(
    tiny_artifact: Path, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    metrics = metrics_of(tiny_artifact)
    for entry in metrics["models"].values():
        entry |= {"gini": None, "bias": None}
        entry["ci"] |= {"gini": None, "bias": None}
    metrics["recommendation"] = {"next_basket": {}}
    metrics["recommender"]["model"] = None
    metrics["total_error"] |= {"low": None, "high": None}
    for window in metrics["total_error"]["windows"]:
        window |= {"bias": None, "bias_interval": None}
    predictions = pl.read_parquet(tiny_artifact.parent / "predictions.parquet").with_columns(
        actual=pl.lit(0.0)
    )
    test = pl.read_parquet(tiny_shop.examples / "test.parquet")
    results = Results.model_validate(metrics)
    write_report(tmp_path / "report.html", results, predictions, test)
    page = read(tmp_path / "report.html")
    assert len(page.plots) == 10
    assert "No interval can be given" in page.text


def test_numbers_have_the_digits_that_tell_something() -> None:
    shown = [
        number(value) for value in (1234567, 2063.4, -334.84, 21.875, 0.0414, 1.0, 0.00041, 0.0)
    ]
    assert shown == ["1,234,567", "2,063", "-334.8", "21.88", "0.041", "1.000", "0.00041", "0.000"]


def test_cells_have_their_interval_and_verdict_and_the_chosen_row_stands_out(
    tmp_path: Path,
) -> None:
    rows = [["a", Estimate(-2.5, -4.0, -1.0, "better")], ["b", Estimate(3.0)], ["c", None]]
    table = Table("caption", ["model", "mae"], rows, "a")
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


def test_report_says_where_a_plan_decides_and_no_model(tiny_artifact: Path) -> None:
    metrics = metrics_of(tiny_artifact)
    worth = metrics["worth"] | {"num_customers": 10, "spend": 50.0}
    paid = {"num_customers": 4, "clv": 90.0, "spend": 40.0}
    gone = {"num_customers": 1, "clv": 0.0, "spend": 0.0}
    worth["standings"] = {"paid": paid, "cancelled": gone}
    results = Results.model_validate(metrics | {"worth": worth})
    [_, act] = answer_sections(results)
    told = [
        part.text
        for part in (*act.parts, *verdict_section(results).parts)
        if isinstance(part, Paragraph)
    ]
    assert any("or of not renewing a paid plan whenever it is due" in text for text in told)
    said = (
        "What 5 of the 10 customers are worth follows from what they said or paid, not from it: "
        "4 with a paid plan and 1 cancelled."
    )
    assert any(f"{said} They hold 80 % of the expected spend." in text for text in told)
    assert results.churn is not None
    parts = churn_section(results.churn, has_plans=True).parts
    assert any(
        isinstance(part, Paragraph) and "with a paid plan churn is" in part.text for part in parts
    )


def test_interval_beside_its_value_is_explained(tiny_artifact: Path) -> None:
    results = Results.model_validate(metrics_of(tiny_artifact))
    name = next(iter(results.models))

    def told(low: float, high: float) -> bool:
        model = results.models[name]
        changed = model.model_copy(
            update={"decile_mape": 0.1, "ci": {**model.ci, "decile_mape": (low, high)}}
        )
        parts = value_section({name: changed}, name, "EUR").parts
        return isinstance(parts[-1], Paragraph)

    assert told(0.2, 0.9) and not told(0.05, 0.9)
