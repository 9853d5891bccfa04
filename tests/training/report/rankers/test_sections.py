"""What the report says of rankers: the gain of the stack in words, whose bars are drawn, what margins cost."""

import base64
from xml.etree import ElementTree

import pytest

from training.report.page import Estimate, Paragraph, Picture, Section, Table
from training.report.rankers.margin import margin_section
from training.report.rankers.sections import (
    gain_section,
    ranker_sections,
    shown_rankers,
)
from training.report.recommend import recommendation_section
from training.results.arena import Results
from training.results.recommend import Gain, MarginCurve, RankMetrics, Recommender

GAIN = {"over": "repurchase", "recall@20": (0.02, 0.01, 0.03), "ndcg@20": (-0.001, -0.004, 0.002)}
RANKERS = ("rank_stack", "repurchase", "popularity", "als", "up_cf", "item_knn", "sequence_llama")


def metrics(recall: float, **changes: object) -> RankMetrics:
    """Of a ranker with this recall."""
    told = {"hr@10": 0.5, "ndcg@10": 0.2, "recall@20": recall, "ndcg@20": 0.2, "coverage": 0.1}
    ci = {"ci": {"recall@20": (recall - 0.01, recall + 0.01)}}
    return RankMetrics.model_validate(told | {"num_customers": 40} | ci | changes)


def recall_by(*groups: str) -> dict[str, object]:
    """As metrics.json has it, the same for every ranker; nobody of the last group was ranked."""
    known = {"value": 0.2, "interval": (0.1, 0.3)}
    recalls = [*([known] * (len(groups) - 1)), {"value": None, "interval": None}]
    counted = [10] * len(groups)
    return {"groups": groups, "counted": counted, "models": dict.fromkeys(RANKERS, recalls)}


def point(weight: float, hits: float, earned: float) -> dict[str, object]:
    """Of a curve."""
    ci = {"hr@10": (hits - 0.1, hits + 0.1), "margin@10": (earned - 1, earned + 1)}
    return {"weight": weight, "hr@10": hits, "margin@10": earned, "ci": ci}


CURVE = {
    "model": "repurchase",
    "source": "costs",
    "known_margins": 0.9,
    "num_candidates": 1000,
    "num_customers": 40,
    "points": [point(0.0, 0.4, 5.0), point(0.5, 0.38, 6.5), point(1.0, 0.2, 6.0)],
}
FOUND = {
    "model": "repurchase",
    "rule": "highest ndcg@20",
    "ndcg@20": {name: 0.3 - place / 100 for place, name in enumerate(RANKERS[:-1])},
    "rank_stack_gain": GAIN,
    "recall_by_orders": recall_by("1", "2 to 4"),
    "recall_by_buyers": recall_by("0", "1 to 2", "3 or more"),
    "margin_curve": CURVE,
}
GROUPS = {
    group: {name: metrics(0.2 + place / 100) for place, name in enumerate(RANKERS)}
    for group in ("all", "repeat_items", "new_items")
}


def results(**changes: object) -> Results:
    """An arena of rankers alone."""
    told = {"num_customers": 40, "currency": "EUR", "recommendation": {"next_basket": GROUPS}}
    return Results.model_validate(told | {"recommender": FOUND} | changes)


def text_of(section: Section) -> str:
    return " ".join(part.text for part in section.parts if isinstance(part, Paragraph))


def test_gain_is_said_in_words_and_whether_it_is_clear() -> None:
    everybody = {"rank_stack": metrics(0.22), "repurchase": metrics(0.2)}
    told = text_of(gain_section(Gain.model_validate(GAIN), everybody))
    assert "Recall at 20: 0.2200 instead of 0.2000, 0.0200 more, or 10 %;" in told
    assert "90 % interval +0.0100 to +0.0300. That is clearly better." in told
    assert "0.0010 less, or 0.5 %; 90 % interval -0.0040 to +0.0020. Which is better is not" in told


def test_bars_are_of_what_serves_of_the_best_others_and_of_members() -> None:
    found = Recommender.model_validate(FOUND)
    shown = ["repurchase", "rank_stack", "popularity", "als", "sequence_llama"]
    assert shown_rankers(found, RANKERS) == shown


def test_sections_have_their_plots_and_the_price_of_margins() -> None:
    gain, recall, margin = ranker_sections(results())
    plots = [
        part for section in (recall, margin) for part in section.parts if isinstance(part, Picture)
    ]
    wanted = ("orders of the customer", "had bought the item", "repeat against explore", "margin")
    for plot, words in zip(plots, wanted, strict=True):
        assert words in plot.description
        drawing = base64.b64decode(plot.source.removeprefix("data:image/svg+xml;base64,"))
        assert len(list(ElementTree.fromstring(drawing).iter())) > 50
    told = text_of(margin)
    assert "Most is earned with a weight of 0.5: 6.50 EUR a customer instead of 5.00" in told
    assert "a hit for 38 % of them instead of 40 %" in told and "amount less cost" in told
    (table,) = (part for part in margin.parts if isinstance(part, Table))
    assert table.rows[2] == ["1", Estimate(0.2, 0.1, pytest.approx(0.3)), Estimate(6.0, 5.0, 7.0)]


def test_where_margins_bring_nothing_it_is_said() -> None:
    flat = CURVE | {"points": [point(0.0, 0.4, 5.0), point(1.0, 0.2, 4.0)]}
    margin = margin_section(MarginCurve.model_validate(flat), "EUR")
    assert "No weight earns more than the score alone: 5.00 EUR a customer" in text_of(margin)


def test_nothing_is_said_of_what_nobody_was_asked() -> None:
    bare: dict[str, object] = {"model": None, "rule": "none", "ndcg@20": {}}
    assert ranker_sections(results(recommendation={"next_basket": {}}, recommender=bare)) == []


def test_tables_say_what_is_found_and_what_lists_are_made_of() -> None:
    section = recommendation_section("next_basket", GROUPS)
    found, shown, repeats, _ = (part for part in section.parts if isinstance(part, Table))
    assert found.caption.startswith("All customers: what of their next items is found")
    assert found.rows[0][4] == Estimate(0.2, pytest.approx(0.19), pytest.approx(0.21))
    assert shown.header[1:3] == ["share of catalogue", "novelty (bits)"]
    assert repeats.caption.startswith("Items that the customer bought before")
