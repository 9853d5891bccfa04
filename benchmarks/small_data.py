"""Which models suit a shop with few customers: `python -m benchmarks.small_data [--draws 8]`.

From each public shop as many customers are drawn as a small shop has. Models learn from them alone,
by what was known at the backtest's cutoff, and are judged there on all other customers, whose
number keeps chance small. Nothing of the test window is read. `<shop>_<customers>` holds the mean
of every metric over the draws by model, and `<shop>_<customers>_<model>_over_bgnbd` that model's
RMSE over BG/NBD's.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import polars as pl

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.metrics import Metrics, mean_metrics, metrics_by_model
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import prepare_shop
from lifecycle.jobs import start_logging
from lifecycle.names import BGNBD, HURDLE, LIGHTGBM, PERSISTENCE, STACK, ZILN
from lifecycle.spend.model import Past
from lifecycle.spend.models import SpendModels
from training.evaluate.value.windows import read_example_sets, target_of

SIZES = (100, 200, 400, 800, 1600)
MODELS = (PERSISTENCE, BGNBD, LIGHTGBM, HURDLE, ZILN, STACK)


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=8)
    draws = parser.parse_args().draws
    start_logging()
    numbers: dict[str, Json] = {}
    data: list[Path] = []
    for shop in ("journey", "cdnow"):
        with scratch_folder() as folder:
            places, files = prepare_shop(shop, folder)
            data += files
            sets = read_example_sets(places["examples"])
        assert sets.backtest is not None
        for size in SIZES:
            found = [judged(sets.backtest.for_test, size, seed) for seed in range(draws)]
            means = {}
            for model in MODELS:
                means[model] = mean_metrics(draw[model] for draw in found)
            numbers[f"{shop}_{size}"] = means
            rmse = {model: row["rmse"] for model, row in means.items()}
            for model in rmse.keys() - {BGNBD}:
                numbers[f"{shop}_{size}_{model}_over_bgnbd"] = rmse[model] / rmse[BGNBD]
            told = {model: round(value, 1) for model, value in rmse.items()}
            print(shop, size, told, flush=True)
    write_evidence("small_data", numbers, seeds=range(draws), data=data)


def judged(past: Past, size: int, seed: int) -> dict[str, Metrics]:
    """Metrics by model, learned from `size` of the customers known, of all others."""
    chosen = past.known["customer_id"].sort().sample(size, seed=seed)
    is_drawn = pl.col("customer_id").is_in(chosen.implode())
    few = replace(past, train=past.train.filter(is_drawn), known=past.known.filter(is_drawn))
    others = past.known.filter(~is_drawn)
    models = SpendModels.fit(few, MODELS, seed=0)
    predicted = {name: models.expected_spend(name, others) for name in MODELS}
    return metrics_by_model(target_of(others), predicted)


if __name__ == "__main__":
    main()
