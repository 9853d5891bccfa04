"""Customers whole and page by page, over HTTP."""

import json

import polars as pl
import pytest
from fastapi.testclient import TestClient

from serving.api.profiles import cursor_of, place_of
from serving.predict.problems import InvalidRequest
from serving.store.pages import Place
from tests.builders import TinyShop
from tests.serving.builders import KNOWN, PURCHASE, fields, post

NEW = PURCHASE | {"event_id": "n1", "customer_id": "c1", "occurred_at": "2025-01-01"}


def test_profile_tells_what_values_tell_and_what_the_events_are(
    with_state: TestClient, tiny_shop: TinyShop
) -> None:
    response = with_state.get("/v1/customers/c1", params={"limit": 3})
    assert response.status_code == 200, response.text
    found = response.json()
    [value] = post(with_state, KNOWN).json()["customers"]
    assert found["value"] == value and response.headers["Cache-Control"] == "no-store"
    for name in ("segment", "stage", "next_best_action", "churn_probability", "currency"):
        assert found[name] == value[name]
    assert (found["predicted_clv"], found["predicted_number_of_orders"]) == (
        value["clv"],
        value["expected_orders"],
    )
    events = pl.read_parquet(tiny_shop.data / "events" / "*.parquet").filter(
        pl.col("customer_id") == "c1"
    )
    assert found["num_events"] == events.height
    assert found["historic_clv"] == pytest.approx(events["amount"].sum() - events["cost"].sum())
    assert found["total_clv"] == pytest.approx(found["historic_clv"] + value["clv"])
    newest = events.sort("occurred_at", descending=True).head(3)
    told = [event["occurred_at"] for event in found["timeline"]]
    assert [
        pl.Series([one]).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us")[0] for one in told
    ] == [one.replace(tzinfo=None) for one in newest["occurred_at"]]
    items = pl.read_parquet(tiny_shop.data / "items.parquet")
    titles = dict(items.select("item_id", "title").iter_rows())
    for event in found["timeline"]:
        assert "customer_id" not in event and None not in event.values()
        if "item_id" in event:
            assert event.get("title") == titles[event["item_id"]]


def test_profile_reflects_an_event_at_once(with_state: TestClient) -> None:
    before = with_state.get("/v1/customers/c1").json()
    post(with_state, {"events": [NEW]}, "/v1/events")
    after = with_state.get("/v1/customers/c1").json()
    assert after["num_events"] == before["num_events"] + 1
    assert after["timeline"][0]["event_id"] == "n1"
    assert after["historic_clv"] == pytest.approx(before["historic_clv"] + 12.5)


def test_pages_walk_through_all_customers(with_state: TestClient) -> None:
    post(with_state, {"events": [NEW]}, "/v1/events")
    seen: list[dict[str, object]] = []
    query: dict[str, str] = {"limit": "7"}
    while True:
        page = with_state.get("/v1/customers", params=query).json()
        seen += page["customers"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    worth = [customer["clv"] for customer in seen]
    assert worth == sorted(worth, reverse=True)
    ids = [customer["customer_id"] for customer in seen]
    assert len(set(ids)) == len(ids) and "c7" in ids
    assert {one["customer_id"] for one in seen if one["changed_since"]} == {"c1"}
    segment = seen[0]["segment"]
    only = with_state.get("/v1/customers", params={"segment": segment, "limit": 1000}).json()
    assert [one["customer_id"] for one in only["customers"]] == [
        one["customer_id"] for one in seen if one["segment"] == segment
    ]


def test_pages_tell_how_many_came_later_and_are_not_listed(with_state: TestClient) -> None:
    def unlisted() -> int:
        page = with_state.get("/v1/customers", params={"limit": 1}).json()
        number: int = page["num_unlisted"]
        return number

    assert unlisted() == 0
    for number, customer in enumerate(("c1", "new", "newer", "new"), 2):
        event = NEW | {"event_id": f"n{number}", "customer_id": customer}
        assert post(with_state, {"events": [event]}, "/v1/events").status_code == 200
    assert unlisted() == 2
    assert with_state.delete("/v1/customers/new").status_code == 200
    assert unlisted() == 1


def test_erased_customer_is_neither_shown_nor_listed(with_state: TestClient) -> None:
    assert with_state.delete("/v1/customers/c1").status_code == 200
    assert with_state.get("/v1/customers/c1").status_code == 404
    assert post(with_state, KNOWN).status_code == 404
    listed = with_state.get("/v1/customers", params={"limit": 1000}).json()["customers"]
    assert "c1" not in {customer["customer_id"] for customer in listed} and listed


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"segment": "best"}, "segment"),
        ({"stage": ""}, "stage"),
        ({"min_clv": "x"}, "min_clv"),
        ({"min_clv": "nan"}, "min_clv"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"page": "2"}, "page"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "WzEsMl0="}, "cursor"),
    ],
)
def test_bad_queries_name_their_field(
    with_state: TestClient, query: dict[str, str], field: str
) -> None:
    assert fields(with_state.get("/v1/customers", params=query)) == [field]


def test_unknown_customers_bad_ids_and_limits_are_refused(with_state: TestClient) -> None:
    assert with_state.get("/v1/customers/nobody").status_code == 404
    assert fields(with_state.get("/v1/customers/%20c1")) == ["customer_id"]
    assert fields(with_state.get("/v1/customers/c1", params={"limit": "-1"})) == ["limit"]


def test_reading_needs_its_scope_and_pages_need_state(
    client: TestClient, keys: dict[str, str]
) -> None:
    for path in ("/v1/customers", "/v1/customers/c1"):
        assert client.get(path).status_code == 403
    client.headers["Authorization"] = f"Bearer {keys['read']}"
    assert client.get("/v1/customers/c1").status_code == 200
    response = client.get("/v1/customers")
    assert response.status_code == 501 and "state=PATH" in response.json()["detail"]
    assert post(client, KNOWN).status_code == 403


def test_cursor_is_read_back_to_the_last_bit() -> None:
    place = Place(0.1 + 0.2, "é/ñ")
    assert place_of(cursor_of(place)) == place
    with pytest.raises(InvalidRequest):
        place_of(json.dumps([1, "a"]))
