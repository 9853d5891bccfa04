"""What calls ask for, step by step, with answers made by hand."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise

import httpx
import pytest

from serving.api.requests import MAX_EXPLAINED_BY_EVENTS as MAX_EXPLAINED
from serving.api.requests import MAX_LOGGED_EVENTS
from serving.api.responses import EventsResponse, ListedCustomer
from serving.app import ServeArguments
from serving.calls import (
    MAX_CUSTOMERS,
    MAX_EVENTS,
    MAX_EXPLAINED_BY_EVENTS,
    Calls,
    Retries,
    ServiceError,
    Steps,
    T,
)

SERVED = {"X-Request-ID": "1"}


@pytest.fixture
def calls() -> Iterator[Calls]:
    with httpx.Client(base_url="http://service", timeout=10.0) as http:
        yield Calls(http, Retries(), max_customers=3)


def driven(
    steps: Steps[T], answer: Callable[[httpx.Request], httpx.Response | httpx.TransportError]
) -> tuple[T | Exception, list[httpx.Request], list[float]]:
    """The result or error of steps, the requests made and the pauses held."""
    requests: list[httpx.Request] = []
    pauses: list[float] = []
    outcome = None
    while True:
        try:
            step = steps.send(outcome)
        except StopIteration as end:
            return end.value, requests, pauses
        except (ServiceError, httpx.TransportError) as error:
            return error, requests, pauses
        if isinstance(step, float):
            pauses.append(step)
            outcome = None
        else:
            requests.append(step)
            outcome = answer(step)


def recommended(request: httpx.Request) -> httpx.Response:
    asked = json.loads(request.content)["customers"]
    kept = {"recommendations": [], "model": "m", "group": "thin", "as_of": "2025-01-01"}
    answers = [{"customer_id": one["customer_id"], **kept, "of_later": 1} for one in asked]
    return httpx.Response(200, json={"customers": answers})


def test_limits_are_those_of_the_service() -> None:
    assert MAX_EVENTS == MAX_LOGGED_EVENTS
    assert MAX_EXPLAINED_BY_EVENTS == MAX_EXPLAINED
    assert ServeArguments.model_fields["max_customers"].default == MAX_CUSTOMERS


def test_batch_of_any_size_is_asked_in_parts_and_answered_in_order(calls: Calls) -> None:
    names = [f"c{number}" for number in range(8)]
    customers = [{"customer_id": name} for name in names]
    found, requests, pauses = driven(calls.recommendations(customers, {"k": 2}), recommended)
    assert isinstance(found, list) and [one.customer_id for one in found] == names
    bodies = [json.loads(request.content) for request in requests]
    assert [len(body["customers"]) for body in bodies] == [3, 3, 2]
    assert {body["k"] for body in bodies} == {2} and not pauses


def test_explanations_by_events_are_asked_for_few_customers_at_a_time() -> None:
    with httpx.Client(base_url="http://service") as http:
        calls = Calls(http, Retries(), max_customers=100)
        customers = [{"customer_id": f"c{number}"} for number in range(17)]
        options = {"explain": "events"}
        _, requests, _ = driven(
            calls.value(customers, options), lambda _: httpx.Response(200, json={"customers": []})
        )
    sizes = [len(json.loads(request.content)["customers"]) for request in requests]
    assert sizes == [8, 8, 1]


def test_part_of_too_many_bytes_is_halved(calls: Calls) -> None:
    customers = [{"customer_id": name} for name in "abc"]

    def answer(request: httpx.Request) -> httpx.Response:
        if len(json.loads(request.content)["customers"]) > 1:
            return httpx.Response(413, json={"detail": "too large"})
        return recommended(request)

    found, requests, _ = driven(calls.recommendations(customers, {}), answer)
    assert isinstance(found, list) and [one.customer_id for one in found] == ["a", "b", "c"]
    assert len(requests) == 5  # abc, a, bc, b, c
    error, requests, _ = driven(
        calls.recommendations(customers[:1], {}), lambda _: httpx.Response(413)
    )
    assert isinstance(error, ServiceError) and (error.status, len(requests)) == (413, 1)


@pytest.mark.parametrize(
    ("outcome", "num_requests"),
    [
        (httpx.Response(429), 3),
        (httpx.Response(502), 3),
        (httpx.Response(503), 3),
        (httpx.Response(500, text="Internal Server Error"), 3),
        (httpx.Response(500, headers=SERVED), 1),
        (httpx.Response(422, json={"detail": "no"}), 1),
        (httpx.Response(507), 1),
        (httpx.ReadError("reset"), 3),
        (httpx.ConnectTimeout("late"), 3),
        (httpx.UnsupportedProtocol("ftp"), 1),
    ],
)
def test_what_may_pass_is_asked_three_times_and_all_else_once(
    calls: Calls, outcome: httpx.Response | httpx.TransportError, num_requests: int
) -> None:
    error, requests, pauses = driven(calls.model(), lambda _: outcome)
    assert isinstance(error, ServiceError | httpx.TransportError)
    assert (len(requests), len(pauses)) == (num_requests, num_requests - 1)
    assert calls.failed_first == 1


def test_pauses_grow_and_are_never_shorter_than_the_service_asked_for(calls: Calls) -> None:
    calls.retries = Retries(attempts=6, pause_seconds=0.5)
    _, _, pauses = driven(calls.model(), lambda _: httpx.Response(503))
    assert all(0.25 * 2**n <= pause <= 0.5 * 2**n for n, pause in enumerate(pauses))
    assert all(after > 0.99 * before for before, after in pairwise(pauses))
    busy = httpx.Response(429, headers={"Retry-After": "2"})
    error, _, (first, *_) = driven(calls.model(), lambda _: busy)
    assert 2.25 <= first <= 2.5
    assert isinstance(error, ServiceError) and error.retry_after_seconds == 2.0
    dated = httpx.Response(503, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"})
    error, _, _ = driven(calls.model(), lambda _: dated)
    assert isinstance(error, ServiceError) and error.retry_after_seconds is None


def test_nothing_is_repeated_beyond_the_deadline(calls: Calls) -> None:
    calls.retries = Retries(deadline_seconds=5.0)
    late = httpx.Response(503, headers={"Retry-After": "6"})
    error, [request], pauses = driven(calls.model(), lambda _: late)
    assert isinstance(error, ServiceError) and not pauses
    assert all(4.0 < seconds <= 5.0 for seconds in request.extensions["timeout"].values())


def test_sums_of_events_are_over_all_parts(calls: Calls) -> None:
    answer = {"accepted": 3, "duplicates": 1, "refused": 2}
    events = [{"event_id": "e"}] * (MAX_EVENTS + 1)
    told, requests, _ = driven(calls.send(events), lambda _: httpx.Response(200, json=answer))
    assert len(requests) == 2
    assert not isinstance(told, Exception) and told == EventsResponse(
        accepted=6, duplicates=2, refused=4
    )


def test_all_pages_of_customers_are_asked_for(calls: Calls) -> None:
    listed = dict.fromkeys(ListedCustomer.model_fields, 0.0) | {
        name: "x" for name in ("customer_id", "as_of", "segment", "stage", "next_best_action")
    }
    pages = {None: ("a/b ä", "2"), "2": ("c", "3"), "3": ("d", None)}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["segment"] == "top"
        customer, cursor = pages[request.url.params.get("cursor")]
        rows = [listed | {"customer_id": customer, "changed_since": False}]
        return httpx.Response(
            200, json={"customers": rows, "next_cursor": cursor, "num_unlisted": 0}
        )

    found, requests, _ = driven(calls.customers({"segment": "top"}), answer)
    assert isinstance(found, list) and [one.customer_id for one in found] == ["a/b ä", "c", "d"]
    assert len(requests) == 3


def test_id_of_a_customer_is_one_part_of_the_path(calls: Calls) -> None:
    _, [request], _ = driven(calls.customer("a/b ä?", {}), lambda _: httpx.Response(404))
    assert request.url.raw_path == b"/v1/customers/a%2Fb%20%C3%A4%3F"
