"""How fast BTYD models are fitted and customers summed up, beside the package lifetimes.

`python -m benchmarks.btyd_speed [--customers 350000] [--runs 3]`. Customers are simulated from the
BG/NBD and Gamma-Gamma of CDNOW; their first purchases are spread over two years of days. lifetimes
needs older packages than ours and runs as a process in an environment of its own, which the first
run makes in runs/environments. Ratios are of wall seconds; those of processor seconds beside them
tell more where the machine is busy with something else.
"""

import argparse
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.evidence import write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.simulated_orders import CDNOW, CUTOFF, SEED, fit_cdnow, simulate
from benchmarks.harness.stopwatch import Stopwatch
from benchmarks.peers.lifetimes_process import ask, environment
from lifecycle.btyd.beta_geometric import fit_beta_geometric
from lifecycle.btyd.gamma_gamma import expected_order_value, fit_gamma_gamma
from lifecycle.btyd.likelihood import distinct_rows
from lifecycle.btyd.purchases import cumulative_purchases, fit_purchases
from lifecycle.events.order_days import summarise
from lifecycle.paths import resolve_path

NUM_ORDERS = 1_000_000
MILLION = 1_000_000
SUMMARY = ("frequency", "recency", "age", "mean_repeat_value")
MONTHLY_RATE = 0.01
MONTHS = np.arange(1, 13)
MONTH_ENDS = 30.0 * MONTHS  # days
Summary = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
Seconds = dict[str, float]  # by part of the work


@dataclass(frozen=True)
class Fits:
    """Both sides from summaries to the value of every customer."""

    fit_ratio_to_lifetimes: float
    fit_processor_ratio: float
    fit_ratio_by_part: dict[str, float]
    fit_seconds: list[Seconds]
    fit_seconds_lifetimes: list[Seconds]
    max_parameter_difference: float
    total_clv_difference: float
    parameters: dict[str, float]
    parameters_lifetimes: dict[str, float]


@dataclass(frozen=True)
class Summaries:
    """Both sides from orders to summaries, of ids as numbers and of text."""

    summary_ratio_to_lifetimes: float
    summary_ratio_to_lifetimes_text_ids: float
    summary_processor_ratio: float
    summary_processor_ratio_text_ids: float
    summary_seconds: list[Seconds]
    summary_seconds_lifetimes: list[Seconds]
    orders: int


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=350_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    peer = environment()
    source = resolve_path(CDNOW)
    models = fit_cdnow(source)
    orders = simulate(*models, round(1.25 * arguments.customers))  # of which there are a million
    summary = columns_of(summarise(orders).head(arguments.customers))
    frequency, recency, age, _ = summary
    with scratch_folder() as folder:
        fits = compare_fits(peer, folder, summary, arguments.runs)
        summaries = compare_summaries(peer, folder, orders.head(NUM_ORDERS), arguments.runs)
    numbers = {
        "customers": arguments.customers,
        "distinct_summaries": len(distinct_rows(frequency, recency, age)[1]),
        **asdict(fits),
        **asdict(summaries),
        "other_models": other_models(summary),
        "million": million(simulate(*models, MILLION)),
    }
    write_evidence("btyd_speed", numbers, seeds=[SEED], data=[source])


def columns_of(summary: pl.DataFrame) -> Summary:
    """SUMMARY as arrays (n,)."""
    frequency, recency, age, value = summary.select(SUMMARY).cast(pl.Float64).to_numpy().T.copy()
    return frequency, recency, age, value


def compare_fits(peer: Path, folder: Path, summary: Summary, runs: int) -> Fits:
    """Seconds of both sides, in turn, from summaries to the value of every customer, and how far apart they end."""
    data = folder / "summaries.npz"
    output = folder / "values.npz"
    frequency, recency, age, value = summary
    np.savez(data, frequency=frequency, recency=recency, age=age, value=value)
    ours: list[Seconds] = []
    theirs: list[Seconds] = []
    for run in range(runs + 1):
        seconds, parameters, clv = fit_and_predict(summary)
        answer = ask(peer, "fit", data, output)
        if run == 0:
            continue  # caches are warmed up
        ours.append(seconds)
        theirs.append(answer["seconds"])
        their_total = answer["seconds"]["total"]
        print(
            f"run {run}: fit ours {seconds['total']:.2f} s, lifetimes {their_total:.2f} s",
            flush=True,
        )
    expected = answer["parameters"]
    their_clv = np.load(output)["clv"]
    differences = [abs(value / expected[name] - 1.0) for name, value in parameters.items()]
    parts = ("purchases", "values", "prediction")
    return Fits(
        fit_ratio_to_lifetimes=_ratio(theirs, ours, "total"),
        fit_processor_ratio=_ratio(theirs, ours, "processor"),
        fit_ratio_by_part={part: _ratio(theirs, ours, part) for part in parts},
        fit_seconds=ours,
        fit_seconds_lifetimes=theirs,
        max_parameter_difference=max(differences),
        total_clv_difference=float(clv.sum() / their_clv.sum() - 1.0),
        parameters=parameters,
        parameters_lifetimes=expected,
    )


def fit_and_predict(summary: Summary) -> tuple[Seconds, dict[str, float], np.ndarray]:
    """Seconds by part, parameters, and the value of twelve months of 30 days (n,)."""
    frequency, recency, age, value = summary
    watch = Stopwatch()
    purchases = fit_beta_geometric(frequency, recency, age, first_chances=0)
    purchases_at = watch.seconds()
    values = fit_gamma_gamma(frequency, value)
    values_at = watch.seconds()
    until = cumulative_purchases(purchases, frequency, recency, age, MONTH_ENDS)
    orders = np.diff(until, axis=1, prepend=0.0)
    discounted = (orders / (1.0 + MONTHLY_RATE) ** MONTHS).sum(axis=1)
    clv = discounted * expected_order_value(values, frequency, value)
    total = watch.seconds()
    processor = watch.processor_seconds()
    assert purchases.report.converged and values.report.converged
    seconds = {
        "purchases": purchases_at,
        "values": values_at - purchases_at,
        "prediction": total - values_at,
        "total": total,
        "processor": processor,
    }
    parameters = {name: getattr(purchases, name) for name in ("r", "alpha", "a", "b")}
    return seconds, parameters | {name: getattr(values, name) for name in ("p", "q", "v")}, clv


def compare_summaries(peer: Path, folder: Path, orders: pl.DataFrame, runs: int) -> Summaries:
    """Seconds of both sides, in turn, from orders to summaries. The ratio is that of ids as numbers, best for them."""
    data = folder / "orders.npz"
    output = folder / "rows.npz"
    np.savez(
        data,
        customer=orders["customer_id"].to_numpy(),
        at=orders["occurred_at"].dt.replace_time_zone(None).dt.cast_time_unit("ns").to_numpy(),
        amount=orders["amount"].to_numpy(),
        cutoff=np.array(f"{CUTOFF:%Y-%m-%d}"),
    )
    digits = pl.col("customer_id").cast(pl.String).str.zfill(7)
    tables = {"text": orders.with_columns(customer_id=pl.format("c{}", digits)), "number": orders}
    ours: list[Seconds] = []
    theirs: list[Seconds] = []
    for run in range(runs + 1):
        seconds: Seconds = {}
        for kind, table in tables.items():
            watch = Stopwatch()
            rows = summarise(table)
            seconds[kind] = watch.seconds()
            seconds[f"{kind}_processor"] = watch.processor_seconds()
        answer = ask(peer, "summary", data, output)
        if run == 0:
            continue
        ours.append(seconds)
        theirs.append(answer["seconds"])
        print(f"run {run}: summary ours {seconds}, lifetimes {answer['seconds']}", flush=True)
    np.testing.assert_allclose(rows.select(SUMMARY).to_numpy(), np.load(output)["rows"], rtol=1e-9)
    return Summaries(
        summary_ratio_to_lifetimes=_ratio(theirs, ours, "number"),
        summary_ratio_to_lifetimes_text_ids=_ratio(theirs, ours, "text"),
        summary_processor_ratio=_ratio(theirs, ours, "number_processor"),
        summary_processor_ratio_text_ids=_ratio(theirs, ours, "text_processor"),
        summary_seconds=ours,
        summary_seconds_lifetimes=theirs,
        orders=orders.height,
    )


def other_models(summary: Summary) -> dict[str, Seconds]:
    """Seconds of the models that lifetimes is not compared in: fit, and the curve of twelve months."""
    frequency, recency, age, _ = summary
    found = {}
    for name in ("mbgnbd", "pareto_nbd"):
        watch = Stopwatch()
        model = fit_purchases(name, frequency, recency, age)
        fit = watch.seconds()
        cumulative_purchases(model, frequency, recency, age, MONTH_ENDS)
        found[name] = {"fit": fit, "prediction": watch.seconds() - fit}
    return found


def million(orders: pl.DataFrame) -> dict[str, float | dict[str, Seconds]]:
    """Seconds from the orders of a million customers to the value of each, and of the other models."""
    watch = Stopwatch()
    summary = columns_of(summarise(orders))
    summed = watch.seconds()
    parts, _, clv = fit_and_predict(summary)
    assert len(clv) == MILLION and np.isfinite(clv).all()
    seconds = watch.seconds()
    return {
        "seconds": seconds,
        "orders": orders.height,
        "summary": summed,
        **parts,
        "other_models": other_models(summary),
    }


def _ratio(theirs: list[Seconds], ours: list[Seconds], part: str) -> float:
    """Of the medians."""
    return statistics.median(run[part] for run in theirs) / statistics.median(
        run[part] for run in ours
    )


if __name__ == "__main__":
    main()
