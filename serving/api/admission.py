"""How many requests are let in, and from when on: an API process's limits and what changes while it runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from lifecycle.state.answers import Answer
from serving.api.errors import retry_later
from serving.api.fields import Limits


@dataclass(frozen=True)
class ApiSettings:
    """Limits of one API process."""

    limits: Limits
    max_body_bytes: int
    max_in_flight: int  # admitted requests; above it the answer is 429
    timeout_seconds: float


@dataclass
class Admission:
    """The requests that are being answered; none before `description`, of the models, is there."""

    settings: ApiSettings
    in_flight: int = 0
    description: Answer | None = None  # once every model has loaded

    def loaded(self) -> Answer:
        """The description; 503 before the models have loaded."""
        if self.description is None:
            raise retry_later(503, "the models are loading")
        return self.description

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places; 503 before the models have loaded, 429 where no place is free."""
        self.loaded()
        if self.in_flight >= self.settings.max_in_flight:
            raise retry_later(429, f"{self.in_flight} requests are being answered already")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Hold a place for as long as an answer may take; 503 after that."""
        seconds = self.settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                with self.place():
                    yield
        except TimeoutError:
            raise retry_later(503, f"no answer within {seconds:g} s") from None
