"""Value models on invoice lines of wholesalers: `python -m benchmarks.wholesaler [--shops 8]`.

No package carries such data, so they are simulated: orders at rates that differ between customers,
who leave one by one and grow or shrink; amounts with heavy tails, a hundredth of the customers
giants; a season before Christmas; orders cancelled, lines sent back in part, and quantities
mistyped and cancelled within the hour. Every shop goes through the recipes of training/configs as
they are, from CSV to arena. By model there are the means of its metrics over the shops, and the
geometric means of its RMSE and MAE over those of BG/NBD.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.metrics import Metrics, geometric_mean, mean_metrics
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS
from benchmarks.harness.wholesaler_shop import FIRST_SEED, prepare_wholesaler
from lifecycle.jobs import start_logging
from lifecycle.names import BGNBD
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.results.arena import Results
from training.results.value import ModelMetrics

METRICS = ("mae", "rmse", "gini", "decile_mape", "bias", "coverage_80", "coverage_95")


@dataclass(frozen=True)
class Shop:
    """The champion's name, and metrics by model, `champion` among them."""

    champion: str
    models: dict[str, Metrics]


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shops", type=int, default=8)
    seeds = range(FIRST_SEED, FIRST_SEED + parser.parse_args().shops)
    start_logging()
    shops = []
    for seed in seeds:
        with scratch_folder() as folder:
            shops.append(judged(folder, seed))
        print(seed, shops[-1], flush=True)
    numbers: dict[str, Json] = {"champions": [shop.champion for shop in shops]}
    for model in shops[0].models:
        means = mean_metrics(shop.models[model] for shop in shops)
        for metric in ("rmse", "mae"):
            ratios = [shop.models[model][metric] / shop.models[BGNBD][metric] for shop in shops]
            means[f"{metric}_over_bgnbd"] = geometric_mean(ratios)
        numbers[model] = means
    write_evidence("wholesaler", numbers, seeds=seeds, data=[])


def judged(folder: Path, seed: int) -> Shop:
    """The arena's verdict on one simulated shop."""
    places = prepare_wholesaler(folder, seed)
    arena = EvaluateConfig.load(CONFIGS / "invoices_evaluate.yaml")
    evaluate(arena.model_copy(update={**places, "output": folder / "arena", "members": {}}))
    results = Results.read(folder / "arena" / "metrics.json")
    assert results.champion is not None
    models = {name: _metrics(model) for name, model in results.models.items()}
    return Shop(results.champion, models | {"champion": models[results.champion]})


def _metrics(model: ModelMetrics) -> Metrics:
    return {metric: float(getattr(model, metric)) for metric in METRICS}


if __name__ == "__main__":
    main()
