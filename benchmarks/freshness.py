"""What one more horizon of outcomes is worth: `python -m benchmarks.freshness [--shops 4]`.

Models that serve as they were judged are one horizon older than the data; `refit: true` of the
arena's recipe fits them again. Here both predict the same customers: fitted one horizon before the
cutoff, and at it. The Complete Journey is judged at its test cutoff, simulated wholesalers at
theirs. `<shop>_<model>` has `old` and `fresh` metrics, `wholesalers_<model>_rmse` and `_mae` the
geometric means, over those shops, of fresh over old.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness.evidence import write_evidence
from benchmarks.harness.shop import prepare_shop
from benchmarks.wholesaler import FIRST_SEED, prepare_wholesaler
from lifecycle.jobs import start_logging
from lifecycle.metrics.value import value_metrics
from lifecycle.spend.model import Past
from lifecycle.spend.models import SpendModels
from training.evaluate.value.windows import ExampleSets, read_example_sets, target_of

METRICS = ("mae", "rmse", "gini", "decile_mape", "bias")
MODELS = ("lightgbm", "stack")
Metrics = dict[str, float]


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shops", type=int, default=4)
    seeds = range(FIRST_SEED, FIRST_SEED + parser.parse_args().shops)
    start_logging()
    numbers: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="evervalue-benchmark-") as name:
        places, data = prepare_shop("journey", Path(name))
        for model, found in compared(read_example_sets(places["examples"])).items():
            numbers[f"journey_{model}"] = found
            numbers |= {
                f"journey_{model}_{metric}": ratio(found, metric) for metric in ("rmse", "mae")
            }
    shops = []
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="evervalue-benchmark-") as name:
            shops.append(
                compared(read_example_sets(prepare_wholesaler(Path(name), seed)["examples"]))
            )
        print(seed, shops[-1], flush=True)
    for model in MODELS:
        for metric in ("rmse", "mae"):
            ratios = [ratio(shop[model], metric) for shop in shops]
            numbers[f"wholesalers_{model}_{metric}"] = float(np.exp(np.mean(np.log(ratios))))
    write_evidence("freshness", numbers | {"wholesalers": shops}, seeds=seeds, data=data)


def compared(sets: ExampleSets) -> dict[str, dict[str, Metrics]]:
    """By model the metrics of its old and its fresh fit on the test customers."""
    assert sets.backtest is not None and sets.backtest.horizon_days == sets.horizon_days
    fits = {"old": sets.backtest.for_test, "fresh": sets.for_test}
    found = {name: judged(window, sets) for name, window in fits.items()}
    return {model: {name: models[model] for name, models in found.items()} for model in MODELS}


def judged(past: Past, sets: ExampleSets) -> dict[str, Metrics]:
    """Metrics by model, fitted to a past, of the test customers."""
    models = SpendModels.fit(past, MODELS, seed=0)
    predicted = {name: models.expected_spend(name, sets.test) for name in MODELS}
    found = {
        model: value_metrics(target_of(sets.test), values) for model, values in predicted.items()
    }
    return {
        model: {metric: float(row[metric] or 0.0) for metric in METRICS}
        for model, row in found.items()
    }


def ratio(found: dict[str, Metrics], metric: str) -> float:
    """Of the fresh fit over the old one."""
    return found["fresh"][metric] / found["old"][metric]


if __name__ == "__main__":
    main()
