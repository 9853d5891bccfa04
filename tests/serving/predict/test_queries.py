"""At which instant a customer is answered for, and who cannot be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from serving.predict.predictor import Predictor
from serving.predict.problems import Problem
from serving.predict.queries import CustomerQuery, unknown_at_cutoff
from tests.serving.builders import TEST_CUTOFF, events_of


def test_default_as_of_is_the_later_of_data_end_and_last_event(predictor: Predictor) -> None:
    end = predictor.artifact.data_end
    early = CustomerQuery("x", events_of({"occurred_at": end - timedelta(days=30)}), {})
    late = CustomerQuery("x", events_of({"occurred_at": end + timedelta(days=30)}), {})
    answers = predictor.value([early, late])
    instant = timedelta(microseconds=1)
    assert [answer["as_of"] for answer in answers] == [
        (end + instant).isoformat(),
        (end + timedelta(days=30) + instant).isoformat(),
    ]


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


def test_all_customers_without_events_before_as_of_are_named_at_once(
    queries: list[CustomerQuery],
) -> None:
    born = datetime(2023, 1, 1, tzinfo=UTC)
    unborn = replace(queries[0], as_of=born)
    registered = CustomerQuery("r", pl.DataFrame(schema=EVENT_SCHEMA), {}, born)
    asked = [unborn, queries[1], registered, unborn]
    message = "no event before 2023-01-01T00:00:00+00:00"
    assert unknown_at_cutoff(asked, TEST_CUTOFF) == [
        Problem("customers.0", message),
        Problem("customers.3", message),
    ]
