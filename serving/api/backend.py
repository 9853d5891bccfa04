"""What the API needs of whatever computes answers, its limits, and what changes while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from serving.api.errors import retry_later
from serving.api.requests import (
    Limits,
)
from serving.predict.queries import JSON, CustomerQuery, RecommendOptions

Answer = dict[str, JSON]


class Backend(Protocol):
    """Computes answers, one per customer in their order.

    Raises InvalidRequest for customers it cannot answer for, Busy, and Unavailable.
    """

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]: ...

    async def recommend(
        self, customers: list[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]: ...

    async def describe(self) -> Answer: ...


@dataclass(frozen=True)
class ApiSettings:
    """Limits of one API process."""

    limits: Limits
    max_body_bytes: int
    max_in_flight: int  # admitted requests; above it the answer is 429
    timeout_seconds: float


@dataclass
class State:
    """What changes while the API runs."""

    max_in_flight: int
    in_flight: int = 0
    description: Answer | None = None  # of the model, once every model has loaded

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold one of the places; 503 before the models have loaded, 429 where no place is free."""
        if self.description is None:
            raise retry_later(503, "the models are loading")
        if self.in_flight >= self.max_in_flight:
            raise retry_later(429, f"{self.in_flight} requests are being answered already")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
