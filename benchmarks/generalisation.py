"""The champion on shops that nobody tuned to: `python -m benchmarks.generalisation [--part PART] [--totals]`.

Simulated shops of twelve kinds, draws of The Complete Journey and CDNOW, and the tables superstore
and grocery of a data folder (EVERVALUE_DATA). Kinds and seeds are split into `development`, on
which rules are chosen, and `final`, which are judged once. A row per shop: RMSE and MAE of the
champion over those of the best of persistence, BG/NBD and LightGBM in hindsight, as they are or with
the season's total, what it would be if one of these served, its total over what came, and the coverage of its
intervals, by randomised PIT in every group too. Sums are over shops of 1,000 customers and more.
Then the share of totals within 10 % at cutoffs a month apart, of superstore and of ten simulated shops
of three years; of these also on the clock of the true season, and of whoever knows all but chance.
--totals prints these alone, and `--shop superstore` the rows of one shop.
"""

import argparse
import os
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

import polars as pl

from benchmarks.harness.coverage import Group, coverage_numbers, groups_of
from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.metrics import geometric_mean
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shops.recipes import DATA, Shop
from benchmarks.harness.shops.totals import Total, totals_of
from lifecycle.artifact.files import load_artifact
from lifecycle.jobs import Progress, start_logging
from lifecycle.metrics.value import value_metrics
from lifecycle.names import BGNBD, LIGHTGBM, PERSISTENCE, VALUE_MODELS
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.ingest.job import ingest
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig
from training.results.arena import Results
from training.results.value import SpendMetrics

RIVALS = (PERSISTENCE, BGNBD, LIGHTGBM)
MIN_CUSTOMERS = 1000
WITHIN = 0.1  # of what came
SEASONAL = "seasonal_three_years"
OLD_KINDS = ("steady", "season", "trend", "giants", "price_change", "promotion", "subscriptions")
NEW_KINDS = ("season_and_trend", "season_and_giants", "promotion_and_trend", "wholesaler")
HORIZONS = (90, 60, 180)  # by seed
JOURNEY = (91, date(2017, 10, 1))
CDNOW = (182, date(1997, 12, 31))


def simulated_shops(kinds: tuple[str, ...], seeds: range) -> list[Shop]:
    """A shop of every kind for every seed."""
    shops = []
    for kind in kinds:
        for seed in seeds:
            shops.append(Shop(f"simulated-{kind}-{seed}", HORIZONS[seed % len(HORIZONS)]))
    return shops


DEVELOPMENT_SEEDS = range(3)
FINAL_SEEDS = range(700, 703)  # others after every change of a rule
SEASONAL_SEEDS = {"development": range(10), "final": range(700, 710)}
PARTS = {
    "development": [
        *simulated_shops(OLD_KINDS, DEVELOPMENT_SEEDS),
        Shop("journey-0", *JOURNEY),
        Shop("cdnow-0", *CDNOW),
        Shop("cdnow-1", *CDNOW),
        Shop("superstore", 90),
        Shop("superstore", 180, date(2019, 1, 1)),
    ],
    "final": [
        *simulated_shops((*OLD_KINDS, *NEW_KINDS), FINAL_SEEDS),
        Shop("journey-1", *JOURNEY),
        Shop("cdnow-4", *CDNOW),
        Shop("cdnow-5", *CDNOW),
        Shop("grocery", 90),
        Shop("grocery", 180),
    ],
}


@dataclass(frozen=True)
class Row:
    """How the champion did on one shop."""

    shop: str
    horizon_days: int
    num_customers: int
    champion: str
    best: str  # of RIVALS, by RMSE in hindsight
    rmse_ratio: float
    # What it would be if a rival served, with the season's total.
    rival_rmse_ratios: dict[str, float]
    mae_ratio: float
    total: float  # expected over actual
    coverage_80: float
    groups: list[Group]
    # Expected over actual margin, and its mean absolute error over that with the shop's average
    # rates for everybody; None where the shop's data hold no costs of goods.
    profit_total: float | None
    profit_mae_ratio: float | None


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS))
    parser.add_argument("--totals", action="store_true")
    parser.add_argument("--shop", help="only shops of this name, printed and not written")
    arguments = parser.parse_args()
    part = arguments.part
    start_logging()
    if arguments.shop:
        judged_shops(
            [one for shops in PARTS.values() for one in shops if one.name == arguments.shop]
        )
        return
    if arguments.totals:
        for name in PARTS if part is None else [part]:
            print(name, seasonal_totals(SEASONAL_SEEDS[name]))
        return
    measured = {
        name: summary(judged_shops(PARTS[name])) | seasonal_totals(SEASONAL_SEEDS[name])
        for name in (PARTS if part is None else [part])
    }
    names = next(iter(measured.values())).keys()
    numbers: dict[str, Json] = {}
    for name in PARTS:
        suffix = "" if name == "final" else f"_{name}"
        found = measured.get(name, dict.fromkeys(names))  # a part that was left out is null
        numbers |= {f"{key}{suffix}": value for key, value in found.items()}
    data = sorted(Path(os.environ.get(DATA, "none")).glob("*/[lo]*.parquet"))
    write_evidence("generalisation", numbers, seeds=[*DEVELOPMENT_SEEDS, *FINAL_SEEDS], data=data)


def seasonal_totals(seeds: range) -> dict[str, Json]:
    """The share of totals within 10 % of what came, of seasonal shops and of superstore."""
    shops = {
        "seasonal": simulated_shops((SEASONAL,), seeds),
        "superstore": [Shop("superstore")],
    }
    found: dict[str, Json] = {}
    for name, group in shops.items():
        totals: list[Total] = []
        for shop in group:
            with scratch_folder() as folder:
                totals += totals_of(replace(shop, horizon_days=HORIZONS[0]), folder)
        found[f"share_total_within_10_{name}"] = _share_within([one.ours for one in totals])
        for key in ("true_season", "limit"):
            known = [total for one in totals if (total := getattr(one, key)) is not None]
            if known:
                found[f"share_total_within_10_{name}_{key}"] = _share_within(known)
        found[f"num_totals_{name}"] = len(totals)
        print(name, found[f"share_total_within_10_{name}"], flush=True)
    return found


def _share_within(totals: list[float]) -> float:
    return sum(abs(total - 1) <= WITHIN for total in totals) / len(totals)


def judged_shops(shops: list[Shop]) -> list[Row]:
    """A row per shop."""
    progress = Progress("shops judged", len(shops), "shops")
    rows = []
    for shop in shops:
        with scratch_folder() as folder:
            rows.append(judged(shop, folder))
        print(rows[-1], flush=True)
        progress.advance(1)
    return rows


def judged(shop: Shop, folder: Path) -> Row:
    """One shop through the jobs, with all models of value."""
    places = {"data": folder / "data", "examples": folder / "examples"}
    ingest(shop.recipe(folder).model_copy(update={"output": places["data"]}))
    window = {"horizon_days": shop.horizon_days, "test_cutoff": shop.test_cutoff}
    tree = window | {"data": places["data"], "output": places["examples"]}
    prepare(PrepareConfig.model_validate(tree))
    arena = {"models": list(VALUE_MODELS), "output": folder / "arena", "report_html": False}
    evaluate(EvaluateConfig.model_validate(places | arena))
    results = Results.read(folder / "arena" / "metrics.json")
    assert results.champion is not None and results.horizon_days is not None
    champion = results.models[results.champion]
    rivals = [name for name in RIVALS if name in results.models]
    as_they_are = _without_season(rivals, folder / "arena")
    rmse = {name: min(results.models[name].rmse, as_they_are[name].rmse) for name in rivals}
    best = min(rivals, key=lambda name: rmse[name])
    profit = results.profit
    margin = profit.profit if profit is not None and profit.goods_cost is not None else None
    least_mae = min(min(results.models[name].mae, as_they_are[name].mae) for name in rivals)
    return Row(
        shop=shop.name,
        horizon_days=results.horizon_days,
        num_customers=results.num_customers,
        champion=results.champion,
        best=best,
        rmse_ratio=champion.rmse / rmse[best],
        rival_rmse_ratios={name: results.models[name].rmse / rmse[best] for name in rivals},
        mae_ratio=champion.mae / least_mae,
        total=champion.bias or 0.0,
        coverage_80=champion.coverage_80,
        groups=groups_of(results.intervals),
        profit_total=None if margin is None else margin.bias,
        profit_mae_ratio=None if margin is None else margin.mae / margin.mae_average_rate,
    )


def _without_season(rivals: list[str], arena: Path) -> dict[str, SpendMetrics]:
    """Rivals as they were before their totals were brought to what the season brings."""
    artifact = load_artifact(arena / "artifact")
    predictions = pl.read_parquet(arena / "predictions.parquet")
    found = {}
    for name in rivals:
        rows = predictions.filter(pl.col("model") == name)
        scale = artifact.models.totals.scales.get(name, 1.0)
        metrics = value_metrics(rows["actual"].to_numpy(), rows["predicted"].to_numpy() / scale)
        found[name] = SpendMetrics.model_validate(metrics)
    return found


def summary(rows: list[Row]) -> dict[str, Json]:
    """The keys that are claimed, and every row."""
    large = [row for row in rows if row.num_customers >= MIN_CUSTOMERS]
    rmse = [row.rmse_ratio for row in large]
    mae = [row.mae_ratio for row in large]
    rivals = {
        name: [ratio for row in large if (ratio := row.rival_rmse_ratios.get(name)) is not None]
        for name in RIVALS
    }
    return {
        "mean_rmse_ratio": geometric_mean(rmse),
        "worst_rmse_ratio": max(rmse),
        "rmse_ratios_of_rivals": {
            name: [geometric_mean(of), max(of)] for name, of in rivals.items()
        },
        "mean_mae_ratio": geometric_mean(mae),
        "worst_mae_ratio": max(mae),
        "share_total_within_10": _share_within([row.total for row in large]),
        "worst_coverage_gap_80": max(abs(row.coverage_80 - 0.8) for row in large),
        **coverage_numbers([(row.shop, row.groups) for row in rows]),
        "shops": [asdict(row) for row in rows],
    }


if __name__ == "__main__":
    main()
