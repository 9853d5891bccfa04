"""Every row of the table of stages, and where customers go from them."""

import numpy as np

from lifecycle.decisions.stages import STAGES, StageRules, stages, transitions

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


def stages_of(rules: StageRules) -> list[str]:
    columns = zip(*(numbers for numbers, _ in CUSTOMERS), strict=True)
    num_orders, recency, tenure, p_active, gap = (np.array(column) for column in columns)
    found = stages(
        rules,
        num_orders=num_orders,
        recency_days=recency,
        tenure_days=tenure,
        p_active=p_active,
        mean_gap_days=gap,
    )
    return [str(stage) for stage in found]


def test_stage_rules() -> None:
    found = stages_of(StageRules())
    assert found == [stage for _, stage in CUSTOMERS]
    assert set(found) == set(STAGES)


def test_the_recipe_states_the_rules() -> None:
    found = stages_of(
        StageRules(lapsed_p_active=0.05, loyal_orders=3, loyal_days=400.0, lapsed_days=101.0)
    )
    assert "lapsed" not in found
    assert [
        stage for stage, (numbers, _) in zip(found, CUSTOMERS, strict=True) if numbers[0] == 3
    ] == ["loyalty"]


def test_transitions_are_shares_of_who_was_there() -> None:
    before = np.array(["activation", "activation", "activation", "activation", "loyalty"])
    after = np.array(["conversion", "activation", "lapsed", "lapsed", "loyalty"])
    found = transitions(before, after)
    assert set(found) == {"activation", "loyalty"}
    assert (
        found["activation"] | {"lapsed": 0.5} == found["activation"]
        and found["activation"]["conversion"] == 0.25
    )
    assert all(
        sum(shares.values()) == 1.0 and set(shares) == set(STAGES) for shares in found.values()
    )
