"""The table of next best actions: which line fits, who is asked for a driver, and tables that are refused."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from lifecycle.decisions.actions import ActionRule, next_best_action, read_actions
from lifecycle.decisions.segments import SEGMENTS
from lifecycle.decisions.stages import STAGES
from training.evaluate.recipe import EvaluateConfig

SHIPPED = read_actions(Path(str(EvaluateConfig.model_fields["actions"].default)))
NOBODY = np.array([], dtype=int)


def actions_of(
    rules: tuple[ActionRule, ...], customers: list[tuple[str, str, bool]], driver: str = ""
) -> tuple[list[str], list[int]]:
    """The action of each customer, and the rows whose driver was asked for."""
    stage, segment, at_risk = (np.array(column) for column in zip(*customers, strict=True))
    asked: list[int] = []

    def drivers_of(rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return np.full(len(rows), driver)

    found = next_best_action(
        rules, stage=stage, segment=segment, at_risk=at_risk, drivers_of=drivers_of
    )
    return found.tolist(), asked


def test_no_driver_is_asked_for_where_none_that_a_line_wants_is_possible() -> None:
    words = {
        "stage": np.array(["lapsed"]),
        "segment": np.array(["top"]),
        "at_risk": np.array([True]),
    }
    found = next_best_action(
        SHIPPED, **words, drivers_of=lambda rows: 1 / 0, possible={"rhythm_down", "spend_up"}
    )
    assert found.tolist() == ["personal_outreach"]
    told = next_best_action(
        SHIPPED,
        **words,
        drivers_of=lambda rows: np.array(["costs_down"]),
        possible={"costs_up", "costs_down"},
    )
    assert told.tolist() == ["service_recovery"]


def test_shipped_table_by_hand() -> None:
    customers = [
        ("lapsed", "top", True),
        ("lapsed", "middle", True),
        ("lapsed", "low", True),
        ("retention", "high", True),
        ("retention", "high", False),
        ("loyalty", "top", False),
        ("acquisition", "low", False),
        ("lapsed", "low", False),
    ]
    found, asked = actions_of(SHIPPED, customers)
    assert found == [
        "personal_outreach",
        "win_back_offer",
        "win_back_message",
        "personal_outreach",
        "cross_sell",
        "early_access",
        "welcome_message",
        "no_action",
    ]
    assert asked == [
        0,
        3,
    ]  # drivers are dear: of customers whom no line with a driver can fit none is computed
    found, _ = actions_of(SHIPPED, customers, driver="costs_down")
    assert found[0] == found[3] == "service_recovery" and found[4] == "cross_sell"


def test_shipped_table_has_an_action_for_everybody_and_no_line_that_nobody_reaches() -> None:
    everybody = list(itertools.product(STAGES, SEGMENTS, (True, False)))
    reached = {
        action
        for driver in ("", "costs_down")
        for action in actions_of(SHIPPED, everybody, driver)[0]
    }
    assert reached == {rule.action for rule in SHIPPED}


def test_first_line_that_fits_wins() -> None:
    rules = (
        ActionRule(segment=("top",), action="a"),
        ActionRule(stage=("lapsed",), action="b"),
        ActionRule(action="c"),
    )
    customers = [("lapsed", "top", True), ("lapsed", "low", True), ("loyalty", "low", False)]
    assert actions_of(rules, customers)[0] == ["a", "b", "c"]
    empty = np.array([], dtype=str)
    nobody = next_best_action(
        rules, stage=empty, segment=empty, at_risk=empty, drivers_of=lambda rows: rows
    )
    assert nobody.tolist() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "stage,action\nchurned,x\n,y\n",
            "line 2: stage is 'churned'; it must be one of acquisition",
        ),
        ("stage,action\nlapsed,x\n", "the last line must fit everybody"),
        ("stage,action\nlapsed,\n,y\n", "line 2 has no action"),
        (
            "phase,action\nlapsed,x\n",
            "has column 'phase'; columns are stage, segment, risk, driver, action",
        ),
        ("segment,driver,action\ntop|gold,,x\n,,y\n", "line 2: segment is 'gold'"),
        ("driver,action\nmood_up,x\n,y\n", "driver is 'mood_up'; it must be one of rhythm_up"),
        ("stage,action\nlapsed,x,y\n,z\n", "line 2 has more cells than the header"),
        ("action\n", "the last line must fit everybody"),
        ("", "the last line must fit everybody"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "actions.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_actions(tmp_path / "actions.csv")


def test_missing_table_and_one_from_a_spreadsheet(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        read_actions(tmp_path / "none.csv")
    (tmp_path / "actions.csv").write_bytes(
        "﻿action,stage\r\n call , lapsed | loyalty \r\nwait,\r\n".encode()
    )
    rules = read_actions(tmp_path / "actions.csv")
    assert rules == (
        ActionRule(stage=("lapsed", "loyalty"), action="call"),
        ActionRule(action="wait"),
    )
