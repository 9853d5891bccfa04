"""Every row of the table of stages, and where customers go from them."""

import numpy as np

from lifecycle.decisions.stages import STAGES, StageRules, stages, transitions

# num_orders, recency_days, tenure_days, churn, mean_gap_days, standing (and days of a pause), has_left -> stage
CUSTOMERS = [
    ((0, 0.0, 90.0, 0.0, 20.0, "", False), "acquisition"),
    ((0, 400.0, 400.0, 1.0, 20.0, "", False), "acquisition"),
    ((0, 400.0, 400.0, 1.0, 20.0, "", True), "lapsed"),
    ((1, 10.0, 10.0, 0.8, 20.0, "", False), "activation"),
    ((1, 40.0, 40.0, 0.8, 20.0, "", False), "activation"),
    ((1, 41.0, 41.0, 0.8, 20.0, "", False), "lapsed"),
    ((1, 100.0, 100.0, 0.4, 20.0, "", False), "activation"),
    ((1, 101.0, 101.0, 0.4, 20.0, "", False), "lapsed"),
    ((1, 60.0, 60.0, 0.0, 1.0, "", False), "activation"),
    ((1, 61.0, 61.0, 0.0, 1.0, "", False), "lapsed"),
    ((2, 10.0, 40.0, 0.1, 30.0, "", False), "conversion"),
    ((2, 61.0, 91.0, 0.5, 30.0, "", False), "lapsed"),
    ((2, 61.0, 91.0, 0.49, 30.0, "", False), "conversion"),
    ((3, 10.0, 400.0, 0.1, 30.0, "", False), "retention"),
    ((6, 10.0, 180.0, 0.25, 30.0, "", False), "loyalty"),
    ((6, 10.0, 179.0, 0.2, 30.0, "", False), "retention"),
    ((5, 10.0, 180.0, 0.2, 30.0, "", False), "retention"),
    ((60, 10.0, 900.0, 0.26, 30.0, "", False), "retention"),
    ((60, 61.0, 900.0, 0.9, 30.0, "", False), "lapsed"),
    ((12, 8.0, 360.0, 0.95, 30.0, "cancelled", False), "lapsed"),
    ((12, 8.0, 360.0, 0.4, 30.0, "cancelled", False), "retention"),
    ((12, 120.0, 900.0, 0.9, 30.0, "paused 91", False), "retention"),
    ((12, 200.0, 900.0, 0.5, 30.0, "paused 92", False), "lapsed"),
    ((12, 200.0, 900.0, 0.4, 30.0, "paused 180", False), "retention"),
    ((12, 8.0, 900.0, 0.1, 30.0, "paused 3", False), "retention"),
    ((1, 200.0, 200.0, 0.1, 30.0, "paid", False), "activation"),
    ((2, 200.0, 565.0, 0.6, 30.0, "paid", False), "conversion"),
    ((12, 35.0, 395.0, 0.8, 30.0, "overdue", False), "lapsed"),
    ((12, 35.0, 395.0, 0.3, 30.0, "overdue", False), "retention"),
]


def stages_of(rules: StageRules) -> list[str]:
    columns = zip(*(numbers for numbers, _ in CUSTOMERS), strict=True)
    num_orders, recency, tenure, churn, gap, standing, has_left = map(np.array, columns)
    paused_days = np.array(
        [float(name.removeprefix("paused ")) if "paused" in name else np.nan for name in standing]
    )
    paused = ~np.isnan(paused_days)
    found = stages(
        rules,
        num_orders=num_orders,
        recency_days=recency,
        tenure_days=tenure,
        churn=churn,
        mean_gap_days=gap,
        standing=np.where(paused, "paused", standing),
        paused_days=paused_days,
        has_left=has_left,
    )
    return [str(stage) for stage in found]


def test_stage_rules() -> None:
    found = stages_of(StageRules())
    assert found == [stage for _, stage in CUSTOMERS]
    assert set(found) == set(STAGES)


def test_the_recipe_states_the_rules() -> None:
    found = stages_of(
        StageRules(lapsed_churn=0.95, loyal_orders=3, loyal_days=400.0, lapsed_days=101.0)
    )
    known = list(zip(found, CUSTOMERS, strict=True))
    assert [row[5:] for stage, (row, _) in known if stage == "lapsed"] == [
        ("", True),
        ("cancelled", False),
    ], "only who is surely gone"
    assert [stage for stage, (row, _) in known if row[0] == 3] == ["loyalty"]


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
