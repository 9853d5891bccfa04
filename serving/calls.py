"""What a client asks of the service, as steps that another file takes: parts of a batch, and repeats of what failed.

All of it changes nothing or, as events with their ids, counts once, so that all of it is repeated.
"""

import random
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import JsonValue, TypeAdapter

from serving.api.responses import (
    REQUEST_ID,
    CustomerPage,
    CustomerProfile,
    CustomerRecommendations,
    CustomerValue,
    EventsResponse,
    ListedCustomer,
    Recommendation,
    RecommendationResponse,
    SimilarResponse,
    ValueResponse,
)

# Of a customer: customer_id or events, and perhaps others; or of an event.
Fields = Mapping[str, JsonValue]
Query = Mapping[str, str | int | float | None]  # what a URL asks for
T = TypeVar("T")
Outcome = httpx.Response | httpx.TransportError
# What a call asks of whoever runs it: to send a request, or to wait so many seconds.
Steps = Generator[httpx.Request | float, Outcome | None, T]

MAX_CUSTOMERS = 256  # of a request, the service's default
MAX_EXPLAINED_BY_EVENTS = 8
MAX_EVENTS = 10_000  # of a request
TOO_LARGE = 413
REPEATED = (429, 502, 503)
NOT_LOST = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)  # as bad the next time


class ServiceError(Exception):
    """The service refused a request: `status`, what it said, and after how many seconds to try again (429, 503)."""

    def __init__(self, status: int, detail: JsonValue, retry_after_seconds: float | None) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class Retries:
    """How often a request is made, how long with all repeats, and how long the first pause is; each next is twice it.

    Half of a pause is random, so that callers who failed together do not come back together.
    """

    attempts: int = 3
    deadline_seconds: float = 120.0
    pause_seconds: float = 0.2


class Calls:
    """The calls as steps, which do no input and output themselves; `http` only builds requests here.

    `failed_first` counts the requests whose first attempt failed.
    """

    def __init__(
        self, http: httpx.Client | httpx.AsyncClient, retries: Retries, max_customers: int
    ) -> None:
        self.http = http
        self.retries = retries
        self.max_customers = max_customers
        self.random = random.Random()
        self.failed_first = 0

    def value(self, customers: Sequence[Fields], options: Fields) -> Steps[list[CustomerValue]]:
        """Parts of the customers, one after the other."""
        found: list[CustomerValue] = []
        most = self.max_customers
        if options.get("explain") == "events":
            most = min(MAX_EXPLAINED_BY_EVENTS, most)
        for part in _parts(customers, most):
            for answer in (yield from self._post("/v1/value", "customers", part, options)):
                found += ValueResponse.model_validate_json(answer, extra="ignore").customers
        return found

    def recommendations(
        self, customers: Sequence[Fields], options: Fields
    ) -> Steps[list[CustomerRecommendations]]:
        """Parts of the customers, one after the other."""
        found: list[CustomerRecommendations] = []
        for part in _parts(customers, self.max_customers):
            for answer in (
                yield from self._post("/v1/recommendations", "customers", part, options)
            ):
                read = RecommendationResponse.model_validate_json(answer, extra="ignore")
                found += read.customers
        return found

    def similar(self, item_id: str, options: Fields) -> Steps[list[Recommendation]]:
        """One request."""
        place = f"/v1/items/{quote(item_id, safe='')}/similar"
        answer = yield from self._answered("POST", place, options)
        return SimilarResponse.model_validate_json(answer, extra="ignore").similar

    def send(self, events: Sequence[Fields]) -> Steps[EventsResponse]:
        """Parts of the events, one after the other; the sums of what became of them."""
        found = EventsResponse(accepted=0, duplicates=0, refused=0)
        for part in _parts(events, MAX_EVENTS):
            for answer in (yield from self._post("/v1/events", "events", part, {})):
                found = found.plus(EventsResponse.model_validate_json(answer, extra="ignore"))
        return found

    def customer(self, customer_id: str, options: Query) -> Steps[CustomerProfile]:
        """One request."""
        place = f"/v1/customers/{quote(customer_id, safe='')}"
        answer = yield from self._answered("GET", place, None, options)
        return CustomerProfile.model_validate_json(answer, extra="ignore")

    def customers(self, options: Query) -> Steps[list[ListedCustomer]]:
        """Page after page, to the end."""
        found: list[ListedCustomer] = []
        cursor: Query = {}
        while True:
            answer = yield from self._answered("GET", "/v1/customers", None, {**options, **cursor})
            page = CustomerPage.model_validate_json(answer, extra="ignore")
            found += page.customers
            if page.next_cursor is None:
                return found
            cursor = {"cursor": page.next_cursor}

    def model(self) -> Steps[dict[str, JsonValue]]:
        """One request."""
        answer = yield from self._answered("GET", "/v1/model", None)
        return TypeAdapter(dict[str, JsonValue]).validate_json(answer)

    def _post(
        self, path: str, what: str, part: Sequence[Fields], options: Fields
    ) -> Steps[list[bytes]]:
        """The answers to a part in order: two of its halves where it has too many bytes."""
        try:
            answer = yield from self._answered(
                "POST", path, {what: [dict(row) for row in part], **options}
            )
            return [answer]
        except ServiceError as error:
            if error.status != TOO_LARGE or len(part) == 1:
                raise
        middle = len(part) // 2
        first = yield from self._post(path, what, part[:middle], options)
        second = yield from self._post(path, what, part[middle:], options)
        return first + second

    def _answered(
        self, method: str, path: str, body: Mapping[str, object] | None, query: Query | None = None
    ) -> Steps[bytes]:
        """The body of the answer; ServiceError or httpx.TransportError where no attempt had one."""
        ends_at = time.monotonic() + self.retries.deadline_seconds
        for attempt in range(1, self.retries.attempts + 1):
            request = self.http.build_request(
                method, path, json=body, params=query, timeout=self._left(ends_at)
            )
            outcome = yield request
            assert outcome is not None
            if isinstance(outcome, httpx.Response) and outcome.is_success:
                return outcome.content
            error = outcome if isinstance(outcome, httpx.TransportError) else _refusal(outcome)
            pause = self._pause(attempt, error)
            self.failed_first += attempt == 1
            is_last = attempt == self.retries.attempts or time.monotonic() + pause >= ends_at
            if is_last or not _may_pass(outcome):
                raise error
            yield pause
        raise ValueError(f"attempts is {self.retries.attempts}; it must be at least 1")

    def _left(self, ends_at: float) -> httpx.Timeout:
        """The client's own time-outs, none beyond the deadline."""
        left = max(ends_at - time.monotonic(), 0.001)
        own = self.http.timeout.as_dict()
        return httpx.Timeout(
            **{name: left if most is None else min(most, left) for name, most in own.items()}
        )

    def _pause(self, attempt: int, error: Exception) -> float:
        """Seconds until the next attempt, never fewer than the service asked for."""
        longest = self.retries.pause_seconds * 2.0 ** (attempt - 1)
        asked = error.retry_after_seconds if isinstance(error, ServiceError) else None
        return (asked or 0.0) + longest * self.random.uniform(0.5, 1.0)


def _parts(rows: Sequence[Fields], size: int) -> Iterator[Sequence[Fields]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _may_pass(outcome: Outcome) -> bool:
    """Whether the same request may be answered a moment later."""
    if isinstance(outcome, httpx.TransportError):
        return not isinstance(outcome, NOT_LOST)
    is_of_proxy = outcome.status_code == 500 and REQUEST_ID not in outcome.headers
    return is_of_proxy or outcome.status_code in REPEATED


def _refusal(response: httpx.Response) -> ServiceError:
    """What an answer other than success says."""
    try:
        content = response.json()
    except ValueError:
        content = None
    detail = content.get("detail") if isinstance(content, dict) else response.text[:200]
    seconds = response.headers.get("Retry-After", "")
    return ServiceError(
        response.status_code, detail, float(seconds) if seconds.isdecimal() else None
    )
