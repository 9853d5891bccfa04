"""Every row of the stage and action tables."""

import itertools

import numpy as np
import pytest

from lifecycle.stages import ACTION_TABLE, ACTIONS, STAGES, next_best_action, stages

# num_orders, recency_days, tenure_days, p_active, mean_gap_days -> stage
CUSTOMERS = [
    ((0, 0.0, 90.0, 1.0, 20.0), "acquisition"),
    ((0, 400.0, 400.0, 0.0, 20.0), "acquisition"),
    ((1, 10.0, 10.0, 1.0, 20.0), "activation"),
    ((1, 100.0, 100.0, 1.0, 20.0), "activation"),
    ((1, 101.0, 101.0, 1.0, 20.0), "lapsed"),
    ((1, 60.0, 60.0, 1.0, 1.0), "activation"),
    ((1, 61.0, 61.0, 1.0, 1.0), "lapsed"),
    ((2, 10.0, 40.0, 0.9, 30.0), "conversion"),
    ((2, 10.0, 40.0, 0.49, 30.0), "lapsed"),
    ((3, 10.0, 400.0, 0.9, 30.0), "retention"),
    ((6, 10.0, 180.0, 0.8, 30.0), "loyalty"),
    ((6, 10.0, 179.0, 0.8, 30.0), "retention"),
    ((5, 10.0, 180.0, 0.8, 30.0), "retention"),
    ((60, 10.0, 900.0, 0.79, 30.0), "retention"),
    ((60, 10.0, 900.0, 0.1, 30.0), "lapsed"),
]


def test_stage_rules() -> None:
    columns = zip(*(numbers for numbers, _ in CUSTOMERS), strict=True)
    num_orders, recency, tenure, p_active, gap = (np.array(column) for column in columns)
    found = stages(
        num_orders=num_orders, recency_days=recency, tenure_days=tenure, p_active=p_active, mean_gap_days=gap
    )
    assert found.tolist() == [stage for _, stage in CUSTOMERS]
    assert set(found.tolist()) == set(STAGES)


def test_every_action_is_reached_and_in_the_vocabulary() -> None:
    rows = list(itertools.product(STAGES, ("top", "high", "middle", "low"), (0.2, 0.9)))
    stage, segment, p_active = (np.array(column) for column in zip(*rows, strict=True))
    found = next_best_action(stage, segment, p_active)
    assert set(found.tolist()) == set(ACTIONS)
    assert {action for actions in ACTION_TABLE.values() for action in actions} == set(ACTIONS)


def test_actions_by_hand() -> None:
    stage = np.array(["lapsed", "lapsed", "lapsed", "retention", "retention", "loyalty", "acquisition"])
    segment = np.array(["top", "middle", "low", "high", "high", "top", "low"])
    p_active = np.array([0.1, 0.1, 0.1, 0.74, 0.75, 0.9, 1.0])
    assert next_best_action(stage, segment, p_active).tolist() == [
        "personal_outreach", "win_back_offer", "no_action", "personal_outreach", "cross_sell", "early_access",
        "welcome_message",
    ]  # fmt: skip


def test_no_customers() -> None:
    empty = np.array([], dtype=str)
    assert next_best_action(empty, empty, np.array([])).tolist() == []


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="stage is 'churned'; it must be one of acquisition"):
        next_best_action(np.array(["churned"]), np.array(["top"]), np.array([0.5]))
    with pytest.raises(ValueError, match="segment is 'gold'"):
        next_best_action(np.array(["lapsed"]), np.array(["gold"]), np.array([0.5]))
