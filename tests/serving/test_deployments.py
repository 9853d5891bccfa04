from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.folders import Manifest, write_manifest
from lifecycle.log.opening import make_log
from serving.deployments import (
    ArtifactSource,
    LogSource,
    Reply,
    answer_requests,
    num_customers,
    one_of_each_group,
    recommend,
)
from serving.predict.predictor import Predictor
from serving.predict.problems import Problem
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.store.events import EventStore
from tests.builders import TinyShop


def query(customer_id: str) -> CustomerQuery:
    return CustomerQuery(customer_id, pl.DataFrame(schema=EVENT_SCHEMA), {}, None)


@pytest.fixture(scope="module")
def queries(tiny_shop: TinyShop) -> list[CustomerQuery]:
    events = EventStore(tiny_shop.data).events_of(["c1", "c2", "c7"])
    return [CustomerQuery(customer, own, {}) for customer, own in events.items()]


def test_requests_are_computed_together_and_answered_apart(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    first, second, third = queries
    one, two, three = predictor.value(queries)
    replies = answer_requests(predictor, [[first, second], [third], [first]])
    assert replies == [Reply([one, two]), Reply([three]), Reply([one])]


def test_bad_customer_spoils_its_own_request_alone(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    first, second, third = queries
    bad = replace(second, as_of=datetime(2001, 1, 1, tzinfo=UTC))
    message = "no event before 2001-01-01T00:00:00+00:00"
    replies = answer_requests(predictor, [[first], [second, bad, third, bad], [bad]])
    assert replies == [
        Reply(predictor.value([first])),
        Reply([], [Problem("customers.1", message), Problem("customers.3", message)]),
        Reply([], [Problem("customers.0", message)]),
    ]


def test_options_that_cannot_be_served_are_told_as_values(
    predictor: Predictor, queries: list[CustomerQuery]
) -> None:
    reply = recommend(predictor, queries, RecommendOptions(candidates=("i1", "gone")))
    assert list(reply.problems) == [Problem("candidates.1", "is not an item of the catalogue")]
    assert len(recommend(predictor, queries, RecommendOptions()).answers) == len(queries)


def test_large_request_fits_a_batch_alone_but_not_beside_others() -> None:
    large = [query("a")] * 1000
    assert num_customers([large]) == 1
    assert num_customers([large, [query("b")]]) == 1001


def test_replica_refuses_an_artifact_that_was_exchanged(tmp_path: Path) -> None:
    write_manifest(tmp_path, "artifact", Manifest(identity="one"))
    source = ArtifactSource.of(tmp_path)
    assert source.path() == tmp_path
    write_manifest(tmp_path, "artifact", Manifest(identity="two"))
    with pytest.raises(ValueError, match="has changed since the service was built"):
        source.path()


def test_gateway_that_finds_another_log_at_the_path_does_not_start(tmp_path: Path) -> None:
    """As on a second node, whose file of that name is another or is missing."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with pytest.raises(ValueError, match="there is no log at"):
        LogSource(url, "the one").open()
    make_log(url)
    with pytest.raises(ValueError, match="is another than.*SQLite is for one host"):
        LogSource(url, "the one").open()


def test_a_replica_is_warm_once_it_has_answered_somebody_of_each_group(
    predictor: Predictor,
) -> None:
    replies = recommend(predictor, one_of_each_group(predictor.artifact), RecommendOptions(k=3))
    assert [answer["group"] for answer in replies.answers] == ["new", "new", "thin", "rich"]
    assert replies.answers[0]["model"] == "popularity"
    first = {answer["recommendations"][0]["reason"] for answer in replies.answers[1:]}
    assert first == {"bought once before", "bought in 2 orders before", "bought in 5 orders before"}
