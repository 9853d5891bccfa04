"""Customers whose default answer is known already: they have state, and the log holds no later event of them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lifecycle.log.tail import Tail
from lifecycle.state.lookup import CustomerState
from serving.store.pages import CustomerPages
from serving.store.since import SinceData


class KnownCustomers:
    """Look-ups in customer state. Every one reads first how far the log has come."""

    def __init__(self, folder: Path, since: SinceData | None) -> None:
        """Raises ValueError where the state cannot be mapped. It contains the log as far as the data do."""
        self.state = CustomerState(folder)
        self.pages = CustomerPages(folder)
        self.tail = None if since is None else Tail(since.log, since.position.sequence)
        if self.tail is not None:
            self.tail.read()
        self.unlisted = ((0, 0), 0)  # as of which event and erasure, and how many

    def answers(self, customer_ids: Sequence[str | None]) -> list[bytes | None]:
        """The encoded answer for each customer, None for those who are not known. LogUnavailable."""
        return self._found(customer_ids, set() if self.tail is None else self.tail.read())

    def answers_at_once(self, customer_ids: Sequence[str]) -> list[bytes] | None:
        """The same where all are known and nothing has to be waited for, else None."""
        later = set() if self.tail is None else self.tail.read_at_once()
        if later is None:
            return None
        answers = [answer for answer in self._found(customer_ids, later) if answer is not None]
        return answers if len(answers) == len(customer_ids) else None

    def age_seconds(self, now: datetime) -> int:
        """How long before `now` the instant lies as of which customers are known."""
        return max(int((now - self.state.as_of).total_seconds()), 0)

    def num_unlisted(self) -> int:
        """How many customers of the log the state does not know. LogUnavailable."""
        if self.tail is None:
            return 0
        later = tuple(self.tail.read())
        as_of = (self.tail.read_until, self.tail.log.erasures.read_at)
        if self.unlisted[0] != as_of:
            strangers = [customer for customer in later if self.state.find(customer) is None]
            self.unlisted = (as_of, len(strangers) - len(self._erased(strangers)))
        return self.unlisted[1]

    def _found(self, customer_ids: Sequence[str | None], later: set[str]) -> list[bytes | None]:
        asked = [customer for customer in customer_ids if customer is not None]
        erased = self._erased(asked)
        return [
            None
            if customer is None or customer in later or customer in erased
            else self.state.find(customer)
            for customer in customer_ids
        ]

    def _erased(self, customer_ids: Sequence[str]) -> set[str]:
        """Who of these customers is erased, as of the last look at the log."""
        return set() if self.tail is None else self.tail.log.erasures.known.among(customer_ids)
