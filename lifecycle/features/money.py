"""The unit in which encoders see money, so that a shop of small amounts is not one whose customers all spend 0."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

STEPS = 100  # least units in a median amount below 1


def money_unit(amounts: Iterable[np.ndarray]) -> float:
    """A power of ten: 1, or for a median amount below 1 what makes it 100 to 1000 units.

    Encoders see log(1 + amount / unit). Large amounts need no larger unit, as a logarithm tells
    them apart whatever it is. Amounts of 0 and below are left out.
    """
    decades: Counter[int] = Counter()
    for part in amounts:
        positive = part[np.isfinite(part) & (part > 0)]
        found, counts = np.unique(np.floor(np.log10(positive)).astype(int), return_counts=True)
        decades.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
    seen = 0
    for decade in sorted(decades):
        seen += decades[decade]
        if 2 * seen >= decades.total():
            return float(10.0**decade / STEPS) if decade < 0 else 1.0
    return 1.0
