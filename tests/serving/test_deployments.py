from pathlib import Path

import polars as pl
import pytest

from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.folders import Manifest, file_sha256, write_manifest
from serving.api.backend import Answer
from serving.deployments import ArtifactSource, Outcome, answer_each, answer_requests, num_customers
from serving.predict.queries import CustomerQuery


def query(customer_id: str) -> CustomerQuery:
    return CustomerQuery(customer_id, pl.DataFrame(schema=EVENT_SCHEMA), {}, None)


class Compute:
    """Echoes customers; raises for those whose id starts with `bad`, as the predictor does."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, customers: list[CustomerQuery]) -> list[Answer]:
        self.calls.append(len(customers))
        for number, customer in enumerate(customers):
            if str(customer.customer_id).startswith("bad"):
                raise ValueError(f"customers.{number}: no purchase")
        return [{"customer_id": customer.customer_id} for customer in customers]


def test_requests_are_computed_together_and_answered_apart() -> None:
    compute = Compute()
    outcomes = answer_requests(compute, [[query("a"), query("b")], [query("c")], [query("a")]])
    assert [[answer["customer_id"] for answer in outcome.answers] for outcome in outcomes] == [
        ["a", "b"],
        ["c"],
        ["a"],
    ]
    assert compute.calls == [4]


def test_bad_customer_spoils_its_own_request_alone() -> None:
    outcomes = answer_requests(
        Compute(), [[query("a")], [query("b"), query("bad1"), query("c"), query("bad2")]]
    )
    assert outcomes == [
        Outcome([{"customer_id": "a"}], []),
        Outcome([], [("customers.1", "no purchase"), ("customers.3", "no purchase")]),
    ]


def test_one_bad_customer_in_many_is_found_in_few_calls() -> None:
    compute = Compute()
    results = answer_each(
        compute, [query("bad" if number == 77 else str(number)) for number in range(128)]
    )
    assert [number for number, result in enumerate(results) if isinstance(result, str)] == [77]
    assert len(compute.calls) == 15  # the whole, then two halves on each of seven levels


def test_large_request_fits_a_batch_alone_but_not_beside_others() -> None:
    large = [query("a")] * 1000
    assert num_customers([large]) == 1
    assert num_customers([large, [query("b")]]) == 1001


def test_replica_refuses_an_artifact_that_was_exchanged(tmp_path: Path) -> None:
    write_manifest(tmp_path, "artifact", Manifest(identity="one"))
    source = ArtifactSource(str(tmp_path), file_sha256(tmp_path / "manifest.json"))
    assert source.path() == tmp_path
    write_manifest(tmp_path, "artifact", Manifest(identity="two"))
    with pytest.raises(ValueError, match="has changed since the service was built"):
        source.path()
