"""Values: the contract's identities, any batch, any history, what moved them."""

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.artifact.champion import Champion
from lifecycle.names import ZILN
from lifecycle.state.answers import Answer
from serving.api.responses import CustomerValue
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from tests.serving.builders import TEST_CUTOFF, events_of, with_champion

EXTREME_HISTORIES: list[list[dict[str, object]]] = [
    [{"amount": 0.0}],
    [{"amount": 1e12}] * 3,
    [{"amount": 5.0}, {"kind": "refund", "amount": -500.0}],
    [{"amount": 5.0}, {"kind": "support", "amount": None, "cost": 1e9}],
    [{"amount": 5.0, "item_id": "not in the catalogue"}],
    [{"amount": 0.001, "order_id": f"o{number}"} for number in range(500)],
    [{"kind": "renewal", "amount": 5.0}],
]
CHAMPIONS = (
    "persistence",
    "bgnbd_gg",
    "mbgnbd_gg",
    "pareto_nbd_gg",
    "lightgbm",
    "hurdle",
    "stack",
)


@pytest.mark.parametrize("champion", CHAMPIONS)
def test_answers_follow_the_schema_and_the_identities(
    predictor: Predictor, queries: list[CustomerQuery], champion: str
) -> None:
    for answer in with_champion(predictor, champion).value(queries):
        value = CustomerValue.model_validate(json.loads(json.dumps(answer, allow_nan=False)))
        revenue = sum(period.revenue for period in value.periods)
        assert value.revenue == pytest.approx(revenue, rel=1e-9)
        assert value.revenue == pytest.approx(
            value.expected_orders * value.expected_order_value, rel=1e-9
        )
        assert value.clv == pytest.approx(
            sum(period.discounted for period in value.periods), rel=1e-9, abs=1e-9
        )
        assert value.low_95 <= value.low_80 <= value.high_80 <= value.high_95
        assert [period.t for period in value.periods] == [1, 2, 3, 4]
        assert [period.extrapolated for period in value.periods] == [False, False, True, True]
        assert value.model == champion


@pytest.mark.parametrize("champion", ["bgnbd_gg", "pareto_nbd_gg", "lightgbm", "hurdle", "stack"])
def test_answers_are_the_same_in_any_batch_and_order(
    predictor: Predictor, queries: list[CustomerQuery], champion: str
) -> None:
    chosen = with_champion(predictor, champion)
    together = chosen.value(queries[:40])
    assert chosen.value(queries[39::-1]) == together[::-1]
    assert [chosen.value([query])[0] for query in queries[:6]] == together[:6]
    assert chosen.value([queries[3]] * 3) == [together[3]] * 3
    assert chosen.value([]) == []


def test_network_answers_nearly_the_same_in_any_batch(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    """Products of matrices of different sizes round differently."""
    chosen = with_champion(predictor, ZILN)
    together, alone = chosen.value(queries[:6]), [chosen.value([query])[0] for query in queries[:6]]
    np.testing.assert_allclose(
        [answer["clv"] for answer in together], [answer["clv"] for answer in alone], rtol=1e-5
    )


def test_the_future_of_a_customer_changes_nothing(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    past = [
        replace(query, events=query.events.filter(pl.col("occurred_at") < TEST_CUTOFF))
        for query in queries
    ]
    now, before = (
        [replace(query, as_of=TEST_CUTOFF) for query in rows] for rows in (queries, past)
    )
    assert predictor.value(now) == predictor.value(before)
    assert predictor.recommend(now[:30], RecommendOptions()) == predictor.recommend(
        before[:30], RecommendOptions()
    )


def test_answers_at_the_test_cutoff_are_the_judged_predictions(
    predictor: Predictor, queries: list[CustomerQuery], tiny_artifact: Path
) -> None:
    judged = pl.read_parquet(tiny_artifact.parent / "predictions.parquet")
    champion = judged.filter(pl.col("model") == predictor.artifact.settings.champion)
    answers = predictor.value([replace(query, as_of=TEST_CUTOFF) for query in queries])
    within = [sum(period["revenue"] for period in answer["periods"][:2]) for answer in answers]
    np.testing.assert_allclose(within, champion["predicted"].to_numpy(), rtol=1e-9)


def _is_old(feature: str) -> bool:
    return datetime.fromisoformat(feature.split()[1]) < TEST_CUTOFF - timedelta(days=60)


@pytest.mark.parametrize("champion", ["bgnbd_gg", "stack", "persistence"])
def test_event_effects_are_what_the_prediction_is_without_each_event(
    predictor: Predictor, queries: list[CustomerQuery], champion: str
) -> None:
    def within_horizon(answer: Answer) -> float:
        return sum(period["revenue"] for period in answer["periods"][:2])

    chosen = with_champion(predictor, champion)
    query = replace(max(queries, key=lambda query: query.events.height), as_of=TEST_CUTOFF)
    (answer,) = chosen.value([replace(query, explain="events")])
    effects = answer["explanation"]
    assert isinstance(effects, list) and 1 < len(effects) <= 20
    if (
        champion == "persistence"
    ):  # spend of the last horizon: older orders move nothing, a lone recent one is all
        assert {effect["effect"] for effect in effects if _is_old(str(effect["feature"]))} <= {0.0}
    sizes = [abs(effect["effect"]) for effect in effects]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0
    kind, instant = str(effects[0]["feature"]).split()
    gone = pl.col("occurred_at") == datetime.fromisoformat(instant)
    order = query.events.filter(gone & (pl.col("kind") == kind))["order_id"][0]
    without = query.events.filter(
        pl.col("order_id").ne_missing(order) if order is not None else ~gone
    )
    (other,) = chosen.value([replace(query, events=without)])
    expected = within_horizon(answer) / within_horizon(other) - 1.0
    assert effects[0]["effect"] == pytest.approx(expected, rel=1e-6)
    (plain,) = chosen.value([query])
    assert plain | {"explanation": None} == answer | {"explanation": None}


def test_the_only_order_of_a_customer_is_not_left_out(predictor: Predictor) -> None:
    bought = {"amount": 5.0, "occurred_at": TEST_CUTOFF - timedelta(days=5)}
    viewed = {"kind": "view", "amount": None, "occurred_at": TEST_CUTOFF - timedelta(days=2)}
    queries = [
        CustomerQuery("x", events_of(*rows), {}, explain="events")
        for rows in ([bought], [bought, viewed])
    ]
    alone, seen = (answer["explanation"] for answer in predictor.value(queries))
    assert alone == [] and [str(effect["feature"]).split()[0] for effect in seen] == ["view"]


def extreme_queries() -> list[CustomerQuery]:
    """Every history now, a month later, and in the far future."""
    at = datetime(2024, 10, 1, 12, tzinfo=UTC)
    queries = []
    for rows in EXTREME_HISTORIES:
        timed = [{"occurred_at": at + timedelta(hours=n)} | row for n, row in enumerate(rows)]
        events = events_of(*timed)
        for as_of in (None, at + timedelta(days=30), datetime(2199, 1, 1, tzinfo=UTC)):
            queries.append(CustomerQuery(None, events, {}, as_of))
    return queries


@pytest.mark.parametrize("champion", CHAMPIONS)
def test_extreme_histories_have_finite_answers(predictor: Predictor, champion: str) -> None:
    chosen = with_champion(predictor, champion)
    for query in extreme_queries():
        (answer,) = chosen.value([query])
        value = CustomerValue.model_validate(json.loads(json.dumps(answer, allow_nan=False)))
        assert value.low_95 <= value.low_80 <= value.high_80 <= value.high_95
        assert value.revenue == pytest.approx(
            value.expected_orders * value.expected_order_value, rel=1e-6
        )


def test_extreme_histories_have_finite_recommendations(predictor: Predictor) -> None:
    for query in extreme_queries():
        json.dumps(predictor.recommend([query], RecommendOptions()), allow_nan=False)


def test_customer_who_only_looked_is_a_prospect(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    views = events_of({"kind": "view", "occurred_at": TEST_CUTOFF, "amount": None})
    buyer, prospect, other = predictor.value(
        [queries[0], CustomerQuery("v", views, {}), queries[1]]
    )
    CustomerValue.model_validate(json.loads(json.dumps(prospect, allow_nan=False)))
    assert (prospect["stage"], prospect["model"], prospect["customer_id"]) == (
        "acquisition",
        "prospect_rates",
        "v",
    )
    assert [buyer, other] == predictor.value(queries[:2])


def test_shop_whose_customers_never_come_back_is_still_valued(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    lone = with_champion(predictor, "persistence")
    settings = replace(lone.artifact.settings, churn=None)
    models = replace(lone.artifact.models, btyd={})
    artifact = replace(lone.artifact, models=models, settings=settings)
    lone.champion = Champion(artifact, {})
    for answer in lone.value(queries[:20]):
        assert (answer["p_active"], answer["churn_probability"]) == (1.0, 0.0)
        CustomerValue.model_validate(json.loads(json.dumps(answer, allow_nan=False)))


def test_description_is_json_and_says_what_serves(predictor: Predictor) -> None:
    described = json.loads(json.dumps(predictor.describe(), allow_nan=False))
    assert described["champion"] in described["metrics"]
    assert described["num_items"] == 40
    season = predictor.artifact.manifest.season
    assert described["season"] == season.model_dump(mode="json")
    assert described["season"]["why"], "so young a shop has none, and that is told"


def test_lines_of_one_evening_of_the_shop_are_valued_as_one_order(predictor: Predictor) -> None:
    artifact = predictor.artifact
    berlin = replace(artifact, settings=replace(artifact.settings, timezone="Europe/Berlin"))
    there = copy.copy(predictor)
    there.champion = replace(predictor.champion, artifact=berlin)
    day = TEST_CUTOFF - timedelta(days=10)
    evening = [day - timedelta(minutes=5), day + timedelta(minutes=5)]  # two days of UTC
    without_ids = CustomerQuery("x", events_of(*({"occurred_at": at} for at in evening)), {})
    one_order = CustomerQuery(
        "x", events_of(*({"occurred_at": at, "order_id": "1"} for at in evening)), {}
    )
    assert there.value([without_ids]) == predictor.value([one_order])
    assert there.value([without_ids]) != predictor.value([without_ids])
