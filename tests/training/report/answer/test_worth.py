"""The answer where there is no interval, or nothing at risk."""

import json
from pathlib import Path

import pytest

from training.report.answer.worth import answer_sections
from training.report.page import Paragraph
from training.results.arena import Results


def told(artifact: Path, **changes: object) -> list[str]:
    """The sentences of the answer, had the arena found this."""
    metrics = json.loads((artifact.parent / "metrics.json").read_text())
    for name, change in changes.items():
        metrics[name] |= change
    parts = [
        part
        for section in answer_sections(Results.model_validate(metrics))
        for part in section.parts
    ]
    return [part.text for part in parts if isinstance(part, Paragraph)]


def test_total_without_an_interval_says_why(tiny_artifact: Path) -> None:
    total, how, *_ = told(tiny_artifact, total_error={"low": None, "high": None})
    assert "80 % interval" not in total
    assert how.startswith("No interval can be given")


def test_interval_of_a_loss_is_in_order(tiny_artifact: Path) -> None:
    total, *_ = told(tiny_artifact, worth={"clv": -200.0}, total_error={"low": 0.5, "high": 2.0})
    assert "worth -200 " in total and "interval: -400 to -100 " in total


@pytest.mark.parametrize(("at_risk", "begins"), [(50.0, True), (0.0, False)])
def test_where_to_begin_is_told_where_anything_is_at_risk(
    tiny_artifact: Path, at_risk: float, begins: bool
) -> None:
    actions = {
        "no_action": {"num_customers": 9, "clv": 100.0, "at_risk": at_risk},
        "save_offer": {"num_customers": 3, "clv": 100.0, "at_risk": at_risk},
    }
    *_, whom = told(tiny_artifact, worth={"actions": actions})
    assert ("Begin there with save offer (3 customers, 50.00" in whom) == begins
    assert ("(50 %) is at risk" in whom) == begins


def test_nothing_is_after_costs_where_none_is_known(tiny_artifact: Path) -> None:
    none = dict.fromkeys(("refunds", "goods"), {"rate": 0.0, "is_learned": False})
    free = dict.fromkeys(("service", "marketing"), {"rate": 0.0, "is_learned": False})
    total, *_ = told(tiny_artifact, costs=none | free)
    assert "after costs" not in total and "Nothing is counted for refunds" in total


def test_costs_are_named_that_are_in_the_value_and_that_are_not(tiny_artifact: Path) -> None:
    known, none = {"rate": 0.1, "is_learned": True}, {"rate": 0.0, "is_learned": False}
    costs = {"refunds": known, "goods": known, "service": none, "marketing": none}
    total, *_ = told(tiny_artifact, costs=costs)
    assert (
        "Costs are those of refunds and goods. Nothing is counted for service and marketing."
        in total
    )
