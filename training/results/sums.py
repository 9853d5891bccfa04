"""Counts of parts that add up to those of the whole."""

from collections.abc import Mapping
from typing import Self, TypeVar

from lifecycle.config import Config

K = TypeVar("K")
S = TypeVar("S", bound="Summed")


class Summed(Config):
    """Numbers, each of which adds up."""

    def plus(self, other: Self) -> Self:
        """Both together."""
        return self.model_validate({name: one + getattr(other, name) for name, one in self})


class SummedOrders(Summed):
    """Counts of orders that add up, and what is told of one example: the first that there is."""

    orders: int = 0
    of: int = 0
    example: str | None = None

    def plus(self, other: Self) -> Self:
        """Both together."""
        told = self if self.example is not None else other
        counts = {name: n + getattr(other, name) for name, n in self if isinstance(n, int)}
        return told.model_copy(update=counts)


def add_each(found: dict[K, S], others: Mapping[K, S]) -> None:
    """Take in others, by key."""
    for key, one in others.items():
        found[key] = found[key].plus(one) if key in found else one
