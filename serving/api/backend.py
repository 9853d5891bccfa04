"""What the API needs of whatever computes the answers."""

from typing import Protocol

from lifecycle.state.answers import Answer
from serving.predict.queries import CustomerQuery, RecommendOptions


class Backend(Protocol):
    """Computes answers, one per customer in their order.

    Raises InvalidRequest for customers it cannot answer for, Busy, and Unavailable.
    """

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]: ...

    async def recommend(
        self, customers: list[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]: ...

    async def describe(self) -> Answer: ...
