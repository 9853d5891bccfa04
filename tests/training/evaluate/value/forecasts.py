"""Example sets and forecasts of a few customers, made by hand."""

from datetime import UTC, datetime

import numpy as np
import polars as pl

from training.evaluate.value.windows import ExampleSets

CUTOFF = datetime(2024, 1, 1, tzinfo=UTC)
ACTUAL = np.array([0.0, 10.0, 20.0, 30.0, 40.0])


def sets_of(selection: np.ndarray, test: np.ndarray) -> ExampleSets:
    frames = [
        pl.DataFrame(
            {
                "customer_id": [f"c{row}" for row in range(len(spent))],
                "cutoff": [CUTOFF] * len(spent),
                "target": spent,
                "actual_net": spent,
                "num_order_days": [1.0] * len(spent),
            }
        )
        for spent in (selection, selection, test)
    ]
    return ExampleSets(*frames, horizon_days=60)
