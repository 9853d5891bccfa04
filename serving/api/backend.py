"""What the API needs of whatever computes the answers."""

from typing import Protocol

from lifecycle.state.answers import Answer
from serving.predict.queries import CustomerQuery, RecommendOptions


class Backend(Protocol):
    """Computes answers, one per customer in their order; None of an item that the catalogue has not.

    Raises InvalidRequest for customers it cannot answer for, Busy, and Unavailable.
    """

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]: ...

    async def recommend(
        self, customers: list[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]: ...

    async def similar(self, item_id: str, options: RecommendOptions) -> Answer | None: ...

    async def describe(self) -> Answer: ...
