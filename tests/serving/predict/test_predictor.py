"""Answers of the predictor: the contract's identities, any batch, any history, any filter."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.events.shards import read_shard, shard_paths
from lifecycle.names import ZILN
from lifecycle.recommend.retrieval import propose
from lifecycle.spend.models import SpendModels
from serving.api.responses import CustomerRecommendations, CustomerValue
from serving.predict.predictor import Predictor
from serving.predict.queries import JSON, CustomerQuery, RecommendOptions
from serving.predict.recommendations import allowed_items, recommend
from tests.builders import TinyShop

TEST_CUTOFF = datetime(2024, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def predictor(tiny_artifact: Path) -> Predictor:
    """The tiny artifact, loaded."""
    return Predictor(tiny_artifact)


@pytest.fixture(scope="module")
def queries(tiny_shop: TinyShop) -> list[CustomerQuery]:
    """Every customer of the tiny shop who has bought before the test cutoff."""
    events = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    known = pl.read_parquet(tiny_shop.examples / "test.parquet")["customer_id"].to_list()
    by_customer = events.partition_by("customer_id", as_dict=True)
    return [CustomerQuery(name, by_customer[(name,)], {}) for name in known]


def events_of(*rows: dict[str, object]) -> pl.DataFrame:
    defaults = {"event_id": "e", "customer_id": "x", "kind": "purchase", "amount": 10.0}
    return pl.DataFrame([defaults | row for row in rows], schema=EVENT_SCHEMA)


def with_champion(predictor: Predictor, champion: str) -> Predictor:
    """The same artifact, had the arena chosen another champion."""
    other = object.__new__(Predictor)
    settings = replace(predictor.artifact.settings, champion=champion)
    models = SpendModels.load(predictor.artifact.folder, settings.horizon_days, champion)
    other.artifact = replace(predictor.artifact, settings=settings, models=models)
    other.members = {}
    other.item_ids = predictor.item_ids
    return other


@pytest.mark.parametrize(
    "champion",
    ["persistence", "bgnbd_gg", "mbgnbd_gg", "pareto_nbd_gg", "lightgbm", "hurdle", "stack"],
)
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
        assert value.low_95 <= value.low_80 <= value.clv <= value.high_80 <= value.high_95
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
    def within_horizon(answer: dict[str, JSON]) -> float:
        return sum(period["revenue"] for period in answer["periods"][:2])  # type: ignore[index, misc, union-attr, call-overload, arg-type]

    chosen = with_champion(predictor, champion)
    query = replace(max(queries, key=lambda query: query.events.height), as_of=TEST_CUTOFF)
    (answer,) = chosen.value([replace(query, explain="events")])
    effects = answer["explanation"]
    assert isinstance(effects, list) and 1 < len(effects) <= 20
    if (
        champion == "persistence"
    ):  # spend of the last horizon: older orders move nothing, a lone recent one is all
        assert {effect["effect"] for effect in effects if _is_old(str(effect["feature"]))} <= {0.0}  # type: ignore[index, call-overload]
    sizes = [abs(effect["effect"]) for effect in effects]  # type: ignore[call-overload, index, arg-type]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0
    kind, instant = str(effects[0]["feature"]).split()  # type: ignore[call-overload, index]
    gone = pl.col("occurred_at") == datetime.fromisoformat(instant)
    order = query.events.filter(gone & (pl.col("kind") == kind))["order_id"][0]
    without = query.events.filter(
        pl.col("order_id").ne_missing(order) if order is not None else ~gone
    )
    (other,) = chosen.value([replace(query, events=without)])
    expected = within_horizon(answer) / within_horizon(other) - 1.0
    assert effects[0]["effect"] == pytest.approx(expected, rel=1e-6)  # type: ignore[call-overload, index]
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
    assert alone == [] and [str(effect["feature"]).split()[0] for effect in seen] == ["view"]  # type: ignore[index, union-attr, call-overload]


def test_default_as_of_is_the_later_of_data_end_and_last_event(predictor: Predictor) -> None:
    end = predictor.artifact.data_end
    early = CustomerQuery("x", events_of({"occurred_at": end - timedelta(days=30)}), {})
    late = CustomerQuery("x", events_of({"occurred_at": end + timedelta(days=30)}), {})
    answers = predictor.value([early, late])
    instant = timedelta(microseconds=1)
    assert [answer["as_of"] for answer in answers] == [
        (end + instant).isoformat(), (end + timedelta(days=30) + instant).isoformat()
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        [{"amount": 0.0}],
        [{"amount": 1e12}] * 3,
        [{"amount": 5.0}, {"kind": "refund", "amount": -500.0}],
        [{"amount": 5.0}, {"kind": "support", "amount": None, "cost": 1e9}],
        [{"amount": 5.0, "item_id": "not in the catalogue"}],
        [{"amount": 0.001, "order_id": f"o{number}"} for number in range(500)],
        [{"kind": "renewal", "amount": 5.0}],
    ],
)
@pytest.mark.parametrize(
    "champion",
    ["persistence", "bgnbd_gg", "mbgnbd_gg", "pareto_nbd_gg", "lightgbm", "hurdle", "stack"],
)
def test_extreme_histories_have_finite_answers(
    predictor: Predictor, rows: list[dict[str, object]], champion: str
) -> None:
    at = datetime(2024, 10, 1, 12, tzinfo=UTC)
    events = events_of(
        *({"occurred_at": at + timedelta(hours=number)} | row for number, row in enumerate(rows))
    )
    for as_of in (None, at + timedelta(days=30), datetime(2199, 1, 1, tzinfo=UTC)):
        query = CustomerQuery(None, events, {}, as_of)
        (answer,) = with_champion(predictor, champion).value([query])
        value = CustomerValue.model_validate(json.loads(json.dumps(answer, allow_nan=False)))
        assert value.low_95 <= value.low_80 <= value.clv <= value.high_80 <= value.high_95
        assert value.revenue == pytest.approx(
            value.expected_orders * value.expected_order_value, rel=1e-6
        )
        json.dumps(predictor.recommend([query], RecommendOptions()), allow_nan=False)


def test_customer_without_events_before_as_of_is_refused_by_position(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    views = events_of({"kind": "view", "occurred_at": TEST_CUTOFF, "amount": None})
    at_its_cutoff = CustomerQuery("v", views, {}, TEST_CUTOFF)
    unborn = replace(queries[0], as_of=datetime(2023, 1, 1, tzinfo=UTC))
    for number, query in ((1, at_its_cutoff), (2, unborn)):
        asked = [queries[0]] * number + [query]
        with pytest.raises(ValueError, match=rf"customers\.{number}: no event before"):
            predictor.value(asked)


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
    lone.artifact = replace(
        lone.artifact,
        models=replace(lone.artifact.models, btyd={}),
        settings=replace(lone.artifact.settings, churn=None),
    )
    for answer in lone.value(queries[:20]):
        assert (answer["p_active"], answer["churn_probability"]) == (1.0, 0.0)
        CustomerValue.model_validate(json.loads(json.dumps(answer, allow_nan=False)))


def test_recommendations_at_the_test_cutoff_are_the_judged_rankings(
    predictor: Predictor, queries: list[CustomerQuery], tiny_artifact: Path
) -> None:
    rankings = pl.read_parquet(tiny_artifact.parent / "rankings.parquet")
    mine = rankings.filter(pl.col("model") == predictor.artifact.settings.recommender)
    expected = {name: rows.sort("rank") for (name,), rows in mine.group_by("customer_id")}
    asked = [
        replace(query, as_of=TEST_CUTOFF) for query in queries if query.customer_id in expected
    ]
    assert asked
    for answer in predictor.recommend(asked, RecommendOptions(k=20)):
        CustomerRecommendations.model_validate(answer)
        rows = expected[answer["customer_id"]]
        found = [(row["item_id"], row["score"]) for row in answer["recommendations"]]
        own = [
            row for row in found if row[1] >= 1
        ]  # after these what is popular, by now with the whole shop
        assert own == [row for row in rows.select("item_id", "score").iter_rows() if row[1] >= 1]
        assert own and len({item for item, _ in found}) == 20


def items_of(predictor: Predictor, customer: CustomerQuery, **options: object) -> list[str]:
    (answer,) = predictor.recommend([customer], RecommendOptions(**options))
    return [row["item_id"] for row in answer["recommendations"]]


def test_filters_hold_and_all_allowed_items_can_be_had(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items, query = predictor.artifact.items, queries[0]
    tea = set(items.filter(pl.col("category") == "tea")["item_id"])
    assert set(items_of(predictor, query, k=100, category="TEA")) == tea
    assert set(items_of(predictor, query, k=100, query="no. 3 bread")) <= set(
        items.filter(pl.col("category") == "bread")["item_id"]
    )
    cheap = items.filter(pl.col("price").is_between(5, 9))["item_id"]
    assert set(items_of(predictor, query, k=100, min_price=5.0, max_price=9.0)) == set(cheap)
    assert set(items_of(predictor, query, candidates=("i3", "i7"))) == {"i3", "i7"}
    assert items_of(predictor, query, candidates=("i3", "i7"), exclude=("i3",)) == ["i7"]
    assert items_of(predictor, query, min_price=1e9) == []
    assert len(items_of(predictor, query, k=100)) == items.height


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"candidates": ("i1", "nope")}, "candidates"),
        ({"exclude": ("nope",)}, "exclude"),
        ({"in_stock": True}, "in_stock"),
        ({"objective": "margin"}, "objective"),
    ],
)
def test_options_that_cannot_be_served_name_their_field(
    predictor: Predictor, options: dict[str, object], field: str
) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        predictor.recommend([], RecommendOptions(**options))


def test_margins_that_are_no_numbers_are_refused(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items = predictor.artifact.items.with_columns(margin=pl.lit("0,35"))
    with pytest.raises(ValueError, match="^objective: column margin .* no numbers"):
        recommend(
            replace(predictor.artifact, items=items),
            queries[:1],
            RecommendOptions(objective="margin"),
        )


def test_stock_and_margin_columns_are_used(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items = predictor.artifact.items.with_columns(
        in_stock=pl.int_range(pl.len()) % 2 == 0,
        margin=pl.when(pl.col("item_id") == "i9").then(1e6),
    )
    artifact = replace(predictor.artifact, items=items)
    allowed = allowed_items(items, RecommendOptions(in_stock=True))
    assert allowed is not None and allowed.height == items.height // 2
    (answer,) = recommend(artifact, queries[:1], RecommendOptions(objective="margin", k=3))
    rows = answer["recommendations"]
    assert rows[0]["item_id"] == "i9"
    assert [row["score"] for row in rows[1:]] == [0.0, 0.0]


def test_customer_without_history_gets_popular_items(predictor: Predictor) -> None:
    assert predictor.artifact.retriever is not None
    empty = CustomerQuery(None, pl.DataFrame(schema=EVENT_SCHEMA), {})
    assert (
        items_of(predictor, empty, k=5)
        == predictor.artifact.retriever.popular["item_id"][:5].to_list()
    )
    (answer,) = predictor.recommend([empty], RecommendOptions())
    assert (answer["group"], answer["customer_id"]) == ("new", None)


def test_reason_counts_orders_not_lines(predictor: Predictor) -> None:
    at = TEST_CUTOFF - timedelta(days=10)
    lines = [
        {"occurred_at": at, "order_id": order, "item_id": "i5"} for order in ("o1", "o1", "o2")
    ]
    lines.append({"occurred_at": at, "order_id": "o2", "item_id": "i6"})
    query = CustomerQuery("x", events_of(*lines), {})
    (answer,) = predictor.recommend([query], RecommendOptions(candidates=("i5", "i6", "i7")))
    reasons = {row["item_id"]: row["reason"] for row in answer["recommendations"]}
    assert reasons == {
        "i5": "bought in 2 orders before",
        "i6": "bought once before",
        "i7": "popular with other customers",
    }


def test_retriever_serves_under_every_filter_and_says_why(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    artifact = replace(
        predictor.artifact, settings=replace(predictor.artifact.settings, recommender="retriever")
    )
    assert artifact.retriever is not None
    query, catalogue = queries[0], artifact.items
    (answer,) = recommend(artifact, [query], RecommendOptions(k=20))
    bought = query.events.filter(pl.col("kind") == "purchase").with_columns(customer_id=pl.lit("x"))
    expected = propose(
        artifact.retriever, bought, pl.Series("customer_id", ["x"]), cutoff=datetime(2030, 1, 1, tzinfo=UTC),
        num_candidates=20, exclude_seen=False,
    )  # fmt: skip
    assert {row["item_id"] for row in answer["recommendations"]} == set(expected["item_id"])
    reasons = {row["reason"] for row in answer["recommendations"]}
    assert "bought together with earlier purchases" in reasons
    tea = set(catalogue.filter(pl.col("category") == "tea")["item_id"])
    (answer,) = recommend(artifact, [query], RecommendOptions(k=100, category="tea"))
    assert {row["item_id"] for row in answer["recommendations"]} == tea
    (answer,) = recommend(artifact, [query], RecommendOptions(candidates=("i3", "i7")))
    assert {row["item_id"] for row in answer["recommendations"]} == {"i3", "i7"}
    empty = CustomerQuery(None, pl.DataFrame(schema=EVENT_SCHEMA), {})
    (answer,) = recommend(artifact, [empty], RecommendOptions(k=5))
    popular = artifact.retriever.popular["item_id"][:5].to_list()
    assert [row["item_id"] for row in answer["recommendations"]] == popular


def test_prices_that_nobody_gave_cannot_be_asked_for(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    items = predictor.artifact.items.with_columns(price=pl.lit(None, dtype=pl.Float64))
    for options in (RecommendOptions(min_price=0.0), RecommendOptions(max_price=9.0)):
        with pytest.raises(ValueError, match="^(min|max)_price: the item catalogue has no prices"):
            recommend(replace(predictor.artifact, items=items), queries[:1], options)


def test_artifact_without_items_recommends_nothing(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="^customers: .*name no items"):
        recommend(replace(predictor.artifact, retriever=None), [], RecommendOptions())


def test_description_is_json_and_says_what_serves(predictor: Predictor) -> None:
    described = json.loads(json.dumps(predictor.describe(), allow_nan=False))
    assert described["champion"] in described["metrics"]
    assert described["num_items"] == 40
    assert predictor.unknown_items(["i1", "nope"]) == ["nope"]
