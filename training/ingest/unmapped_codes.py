"""Refuses money of several currencies, where columns that the recipe does not map tell them."""

import logging
from collections.abc import Iterable, Mapping

from training.ingest.tables.currencies.codes import DOUBTFUL, resolved
from training.ingest.tables.currencies.unmapped import FoundCodes

logger = logging.getLogger(__name__)


class UnmappedCodes:
    """Currencies in columns that the recipe does not map, over all tables."""

    def __init__(self, own: str, *, is_stated: bool) -> None:
        self.own = own
        self.is_stated = is_stated  # whether the recipe says itself which currency is its own
        self.places: dict[str, str] = {}  # by code: the first file that has it, and the column
        self.by_values: dict[str, dict[str, str]] = {}  # the same by column, where no name tells it

    def add(self, found: Iterable[FoundCodes]) -> None:
        """ValueError where money of several currencies would be added up."""
        for each in found:
            name = each.column.name
            # Which currency a number means is not known, only that others mean others.
            is_told = each.column.is_named and not any(map(str.isdigit, each.codes))
            places = self.places if is_told else self.by_values.setdefault(name, {})
            for code in sorted(each.codes):
                place = f"{each.file}, column {name!r}"
                places.setdefault(resolved(code, self.own), place)
            if each.column.is_named or places.keys() - DOUBTFUL:
                self._check_one(places)
        others = [code for code in self.places if code != self.own]
        if others and self.is_stated:
            raise ValueError(f"{self._told(others[0])}; {self._remedy()}")

    def _check_one(self, places: Mapping[str, str]) -> None:
        if len(places) > 1:
            told = "; ".join(f"{code} ({place})" for code, place in places.items())
            raise ValueError(
                f"money of several currencies would be added up: {told}; {self._remedy()}"
            )

    def warn(self) -> None:
        """Say where the only currency is not the recipe's."""
        for code in self.places:
            if code != self.own:
                logger.warning("%s", self._told(code))

    def _told(self, code: str) -> str:
        return f"{self.places[code]} says {code}; the recipe says currency: {self.own}"

    def _remedy(self) -> str:
        return (
            "map the column as `currency` in columns and say rates, or keep one by a filter; "
            f"of money in {self.own} already say `currency: {{sql: \"'{self.own}'\"}}` there"
        )
