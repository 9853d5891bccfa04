"""What of a request cannot be used, as values from where it is found to the HTTP answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

NO_ITEMS = "the artifact was made from data that name no items; it recommends none"


@dataclass(frozen=True)
class Problem:
    """One field of a request that cannot be used."""

    field: str  # dotted, as in customers.1.events.0.amount
    message: str


def at_places(problems: Sequence[Problem], places: Sequence[int]) -> list[Problem]:
    """Problems of some customers of a request, named by the places that these have in it."""
    found = []
    for problem in problems:
        customers, number, *rest = problem.field.split(".")
        field = ".".join([customers, str(places[int(number)]), *rest])
        found.append(replace(problem, field=field))
    return found


class InvalidRequest(ValueError):
    """A request that cannot be answered as it stands; each problem names its field."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "; ".join(f"{problem.field}: {problem.message}" for problem in self.problems)
