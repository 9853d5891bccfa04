"""Which ranker serves which customer: by how well a customer is known, in the arena as in the service."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lifecycle.names import SEGMENT_POPULARITY
from lifecycle.recommend.groups import customer_group

POPULARITY = "popularity"  # all that anybody can say of a customer without a purchase


@dataclass(frozen=True)
class Router:
    """The ranker that serves everybody, and those that serve a group of customers better."""

    everybody: str
    by_group: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All rankers that serve customers who have bought, each once."""
        return tuple(dict.fromkeys([self.everybody, *self.by_group.values()]))

    def ranker_of(self, num_orders: int, *, knows_segment: bool = False) -> str:
        """The ranker of a customer with so many orders; without one, popularity, of the segment where it is known."""
        if num_orders == 0:
            return SEGMENT_POPULARITY if knows_segment else POPULARITY
        return self.by_group.get(customer_group(num_orders), self.everybody)
