"""What pretraining on another shop brings to a small one: `python -m benchmarks.transfer [--runs 3]`.

A sequence encoder is trained on The Complete Journey and on CDNOW. Of each shop about 300 customers
are then a shop of their own, on which an encoder is trained twice, from scratch and from the other
shop's; both are judged on its test customers by the mean of what the runs predict. Differences are
pretrained minus scratch, with 90 % intervals of the paired bootstrap.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS, prepare_shop
from benchmarks.harness.training_run import train
from lifecycle.jobs import start_logging
from lifecycle.metrics.value import paired_difference, value_metrics
from training.distributed.members import member_spend
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

RECIPE = "journey_sequence.yaml"
EPOCHS = {"journey": 16, "cdnow": 2}
SMALL_EPOCHS = 40  # of some 300 customers
# Who is in the small shop.
SMALL = {
    "journey": "household_id % 8 = 0",
    "cdnow": "CAST(customer_id AS INT) % 80 = 0",
}
METRICS = ("mae", "rmse", "spearman", "gini", "bias")
WAYS = ("scratch", "pretrained")
Metrics = dict[str, float | None]


@dataclass(frozen=True)
class Transfer:
    """Metrics of the mean of what the runs predict, and of single runs, by way."""

    scratch: Metrics
    pretrained: Metrics
    rmse_of_runs: dict[str, list[float | None]]
    val_losses: dict[str, list[float]]
    pretrained_minus_scratch: dict[str, tuple[float, float, float] | None]


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    start_logging()
    numbers: dict[str, Json] = {}
    data: list[Path] = []
    with scratch_folder() as folder:
        for shop, epochs in EPOCHS.items():
            places, files = prepare_shop(shop, folder / shop)
            data += files
            encoder(folder / f"member-{shop}", places, epochs, seed=0)
            numbers[f"small_{shop}_customers"] = small_shop(shop, folder / f"small-{shop}")
        for source, target in (("journey", "cdnow"), ("cdnow", "journey")):
            other = folder / f"member-{source}" / "member"
            found = compared(folder / f"small-{target}", other, runs)
            numbers[f"{source}_to_{target}"] = asdict(found)
    write_evidence("transfer", numbers, seeds=range(runs), data=data)


def small_shop(shop: str, folder: Path) -> int:
    """Ingest and prepare some of a shop's customers; returns how many are judged."""
    recipe = IngestConfig.load(CONFIGS / f"{shop}_ingest.yaml")
    sources = [source.model_dump() | {"filter": {"sql": SMALL[shop]}} for source in recipe.sources]
    changes = {"sources": sources, "output": folder / "data", "quality_html": False}
    ingest(IngestConfig.model_validate(recipe.model_dump() | changes))
    examples = PrepareConfig.load(CONFIGS / f"{shop}_prepare.yaml")
    prepare(examples.model_copy(update={"data": folder / "data", "output": folder / "examples"}))
    return pl.read_parquet(folder / "examples" / "test.parquet").height


def encoder(
    output: Path, places: dict[str, Path], epochs: int, seed: int, start_from: Path | None = None
) -> Path:
    """Train by the shipped recipe; the member."""
    changes = [
        f"data={places['data']}",
        f"examples={places['examples']}",
        f"epochs={epochs}",
        f"seed={seed}",
    ]
    changes.append("checkpoint_every_steps=50")  # the best weights of some are kept
    if start_from is not None:
        changes.append(f"start_from={start_from}")
    train(RECIPE, output, [*changes, "tracking=null"])
    return output / "member"


def compared(small: Path, other: Path, runs: int) -> Transfer:
    """Both ways on the test customers of a small shop."""
    places = {"data": small / "data", "examples": small / "examples"}
    test = pl.read_parquet(places["examples"] / "test.parquet")
    rows = test.select("customer_id", "cutoff", "prompt")
    predicted: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    losses: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(runs):
        for way, start in (("scratch", None), ("pretrained", other)):
            member = encoder(small / f"{way}-{seed}", places, SMALL_EPOCHS, seed, start)
            spend, _ = member_spend(member, places["data"], rows, 2)
            predicted[way].append(spend)
            losses[way].append(val_loss(member))
    actual = test["target"].to_numpy()
    scratch = np.mean(predicted["scratch"], axis=0)
    pretrained = np.mean(predicted["pretrained"], axis=0)
    return Transfer(
        scratch=_metrics(actual, scratch),
        pretrained=_metrics(actual, pretrained),
        rmse_of_runs={way: _rmse(actual, of_runs) for way, of_runs in predicted.items()},
        val_losses=losses,
        pretrained_minus_scratch={
            name: paired_difference(actual, pretrained, scratch, name, seed=0, level=0.9)
            for name in METRICS
        },
    )


def val_loss(member: Path) -> float:
    """Of a member, by its manifest."""
    found: float = json.loads((member / "manifest.json").read_text())["metrics"]["val_loss"]
    return found


def _metrics(actual: np.ndarray, predicted: np.ndarray) -> Metrics:
    found = value_metrics(actual, predicted)
    return {name: found[name] for name in METRICS}


def _rmse(actual: np.ndarray, of_runs: list[np.ndarray]) -> list[float | None]:
    return [value_metrics(actual, predicted)["rmse"] for predicted in of_runs]


if __name__ == "__main__":
    main()
