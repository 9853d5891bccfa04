"""A client of the service, and its twin for asyncio: typed answers, batches of any size, and repeats of what failed."""

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import JsonValue

from serving.api.responses import (
    CustomerProfile,
    CustomerRecommendations,
    CustomerValue,
    EventsResponse,
    ListedCustomer,
    Recommendation,
)
from serving.calls import MAX_CUSTOMERS, Calls, Fields, Outcome, Retries, ServiceError, Steps

__all__ = ["AsyncClient", "Client", "Retries", "ServiceError"]
URL = "http://127.0.0.1:8000"
TIMEOUT_SECONDS = 35.0  # of one attempt; after 30 the service says itself that it has no answer
T = TypeVar("T")


class Client:
    """Calls the service with one key over kept-alive connections; answers keep the order of the customers.

    Raises ServiceError where the service refuses, httpx.TransportError where it cannot be reached,
    each after the `retries`. `max_customers` is the service's.
    """

    def __init__(
        self,
        key: str,
        url: str = URL,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: Retries | None = None,
        max_customers: int = MAX_CUSTOMERS,
    ) -> None:
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout_seconds,
            trust_env=False,
        )
        self.calls = Calls(self.http, retries or Retries(), max_customers)

    def value(self, customers: Sequence[Fields], **options: JsonValue) -> list[CustomerValue]:
        """Lifetime value of each customer; `options` are further keys of the request, such as explain."""
        return self._run(self.calls.value(customers, options))

    def recommendations(
        self, customers: Sequence[Fields], k: int = 10, **options: JsonValue
    ) -> list[CustomerRecommendations]:
        """At most `k` items for each customer; `options` are further keys of the request, such as category."""
        return self._run(self.calls.recommendations(customers, {"k": k, **options}))

    def similar(self, item_id: str, k: int = 10, **options: JsonValue) -> list[Recommendation]:
        """At most `k` items like one item; `options` are further keys of the request, such as category."""
        return self._run(self.calls.similar(item_id, {"k": k, **options}))

    def send(self, events: Sequence[Fields]) -> EventsResponse:
        """Write events to the log: how many are new, and how many it had. Repeat the call where it fails."""
        return self._run(self.calls.send(events))

    def customer(self, customer_id: str, **options: str | int) -> CustomerProfile:
        """One customer whole; the key needs scope read. `limit` is how many events the timeline has."""
        return self._run(self.calls.customer(customer_id, options))

    def customers(self, **options: str | float) -> list[ListedCustomer]:
        """All customers, or those of a segment, a stage or a min_clv, the most valuable first."""
        return self._run(self.calls.customers(options))

    def model(self) -> dict[str, JsonValue]:
        """What answers."""
        return self._run(self.calls.model())

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = None
            if isinstance(step, float):
                time.sleep(step)
                continue
            try:
                outcome = self.http.send(step)
            except httpx.TransportError as error:
                outcome = error


class AsyncClient:
    """The same for asyncio; see Client."""

    def __init__(
        self,
        key: str,
        url: str = URL,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: Retries | None = None,
        max_customers: int = MAX_CUSTOMERS,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=timeout_seconds, trust_env=False
        )
        self.calls = Calls(self.http, retries or Retries(), max_customers)

    async def value(self, customers: Sequence[Fields], **options: JsonValue) -> list[CustomerValue]:
        """See Client."""
        return await self._run(self.calls.value(customers, options))

    async def recommendations(
        self, customers: Sequence[Fields], k: int = 10, **options: JsonValue
    ) -> list[CustomerRecommendations]:
        """See Client."""
        return await self._run(self.calls.recommendations(customers, {"k": k, **options}))

    async def similar(
        self, item_id: str, k: int = 10, **options: JsonValue
    ) -> list[Recommendation]:
        """See Client."""
        return await self._run(self.calls.similar(item_id, {"k": k, **options}))

    async def send(self, events: Sequence[Fields]) -> EventsResponse:
        """See Client."""
        return await self._run(self.calls.send(events))

    async def customer(self, customer_id: str, **options: str | int) -> CustomerProfile:
        """See Client."""
        return await self._run(self.calls.customer(customer_id, options))

    async def customers(self, **options: str | float) -> list[ListedCustomer]:
        """See Client."""
        return await self._run(self.calls.customers(options))

    async def model(self) -> dict[str, JsonValue]:
        """See Client."""
        return await self._run(self.calls.model())

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, steps: Steps[T]) -> T:
        outcome: Outcome | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            outcome = None
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            try:
                outcome = await self.http.send(step)
            except httpx.TransportError as error:
                outcome = error
