"""Which models suit a shop with few customers: `python -m benchmarks.small_data [--draws 8]`.

From each public shop as many customers are drawn as a small shop has. Models learn from them alone,
by what was known at the backtest's cutoff, and are judged there on all other customers, whose
number keeps chance small. Nothing of the test window is read. `<shop>_<customers>` holds the mean
of every metric over the draws by model, and `<shop>_<customers>_<model>_over_bgnbd` that model's
RMSE over BG/NBD's.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.evidence import write_evidence
from benchmarks.harness.shop import prepare_shop
from lifecycle.jobs import start_logging
from lifecycle.metrics.value import value_metrics
from lifecycle.names import BGNBD, HURDLE, LIGHTGBM, PERSISTENCE, STACK, ZILN
from lifecycle.spend.model import Past
from lifecycle.spend.models import SpendModels
from training.evaluate.value.windows import read_example_sets, target_of

SIZES = (100, 200, 400, 800, 1600)
MODELS = (PERSISTENCE, BGNBD, LIGHTGBM, HURDLE, ZILN, STACK)
METRICS = ("mae", "rmse", "gini", "decile_mape", "bias")


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=8)
    draws = parser.parse_args().draws
    start_logging()
    numbers: dict[str, object] = {}
    data: list[Path] = []
    for shop in ("journey", "cdnow"):
        with tempfile.TemporaryDirectory(prefix="evervalue-benchmark-") as name:
            places, files = prepare_shop(shop, Path(name))
            data += files
            sets = read_example_sets(places["examples"])
        assert sets.backtest is not None
        for size in SIZES:
            found = [judged(sets.backtest.for_test, size, seed) for seed in range(draws)]
            means = {
                model: {
                    metric: float(np.mean([one[model][metric] for one in found]))
                    for metric in METRICS
                }
                for model in found[0]
            }
            numbers[f"{shop}_{size}"] = means
            for model in set(means) - {BGNBD}:
                numbers[f"{shop}_{size}_{model}_over_bgnbd"] = (
                    means[model]["rmse"] / means[BGNBD]["rmse"]
                )
            print(
                shop,
                size,
                {model: round(row["rmse"], 1) for model, row in means.items()},
                flush=True,
            )
    write_evidence("small_data", numbers, seeds=range(draws), data=data)


def judged(past: Past, size: int, seed: int) -> dict[str, dict[str, float]]:
    """Metrics by model, learned from `size` of the customers known, of all others."""
    drawn = pl.col("customer_id").is_in(
        past.known["customer_id"].sort().sample(size, seed=seed).implode()
    )
    few = replace(past, train=past.train.filter(drawn), known=past.known.filter(drawn))
    others = past.known.filter(~drawn)
    models = SpendModels.fit(few, MODELS, seed=0)
    predicted = {name: models.expected_spend(name, others) for name in MODELS}
    actual = target_of(others)
    found = {model: value_metrics(actual, values) for model, values in predicted.items()}
    return {
        model: {metric: float(row[metric] or 0.0) for metric in METRICS}
        for model, row in found.items()
    }


if __name__ == "__main__":
    main()
