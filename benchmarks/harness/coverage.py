"""Whether intervals hold in every group of customers, over several shops.

Groups are segments of expected spend, and histories. One of at least MIN_CUSTOMERS customers stands
alone, smaller ones of a name are put together over shops. Coverage is by the randomised PIT.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.harness.evidence import Json
from training.results.value import GroupCoverage, IntervalResults

MIN_CUSTOMERS = 400
MARGIN = 0.03
Group = tuple[str, int, float, float]  # name, customers, coverage at 80 and at 95 %


def groups_of(found: IntervalResults | None) -> list[Group]:
    """Of one shop."""
    if found is None:
        return []
    groups = found.segments | found.history
    return [(name, *_numbers(group)) for name, group in groups.items()]


def coverage_numbers(shops: Sequence[tuple[str, Sequence[Group]]]) -> dict[str, Json]:
    """Of the groups of all shops: how many there are, the shares that hold, and those that do not."""
    alone: list[Group] = []
    small: dict[str, list[Group]] = {}
    for shop, groups in shops:
        for name, count, at_80, at_95 in groups:
            if count >= MIN_CUSTOMERS:
                alone.append((f"{shop}: {name}", count, at_80, at_95))
            else:
                small.setdefault(name, []).append((name, count, at_80, at_95))
    together = [_together(name, groups) for name, groups in small.items()]
    known = alone + together
    holds = {level: [_holds(group, level) for group in known] for level in (80, 95)}
    is_wrong = [not all(both) for both in zip(*holds.values(), strict=True)]
    wrong: list[Json] = [group for group, is_one in zip(known, is_wrong, strict=True) if is_one]
    shares = {f"groups_held_{level}": float(np.mean(found)) for level, found in holds.items()}
    return {"groups": len(known), **shares, "groups_not_held": wrong}


def _numbers(group: GroupCoverage) -> tuple[int, float, float]:
    return group.num_customers, group.pit_coverage_80, group.pit_coverage_95


def _together(name: str, groups: Sequence[Group]) -> Group:
    """Customers of several shops, each counting once."""
    counts = np.array([group[1] for group in groups])
    at_80 = np.average([group[2] for group in groups], weights=counts)
    at_95 = np.average([group[3] for group in groups], weights=counts)
    return f"all shops: {name}", int(counts.sum()), float(at_80), float(at_95)


def _holds(group: Group, level: int) -> bool:
    """Within three points or two standard errors."""
    share = level / 100
    margin = max(MARGIN, 2.0 * np.sqrt(share * (1.0 - share) / group[1]))
    found = group[2] if level == 80 else group[3]
    return bool(abs(found - share) <= margin)
