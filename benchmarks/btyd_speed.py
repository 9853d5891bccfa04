"""How fast BTYD models are fitted and customers summed up, beside the package lifetimes.

`python -m benchmarks.btyd_speed [--customers 350000] [--runs 3]`. Customers are simulated from the
BG/NBD and Gamma-Gamma of CDNOW; their first purchases are spread over two years of days. lifetimes
needs older packages than ours and runs as a process in an environment of its own, which the first
run makes in runs/environments. Ratios are of wall seconds; those of processor seconds beside them
tell more where the machine is busy with something else.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.evidence import write_evidence
from lifecycle.btyd.beta_geometric import BetaGeometricNbd, fit_beta_geometric
from lifecycle.btyd.gamma_gamma import GammaGamma, expected_order_value, fit_gamma_gamma
from lifecycle.btyd.likelihood import distinct_rows
from lifecycle.btyd.purchases import cumulative_purchases, fit_purchases
from lifecycle.events.order_days import summarise
from lifecycle.paths import resolve_path

ENVIRONMENT = Path("runs/environments/lifetimes")
PEER_PACKAGES = ("lifetimes==0.11.3", "numpy<2", "pandas<2.2", "scipy<1.12")
PEER = Path(__file__).parent / "peers" / "lifetimes_peer.py"
CDNOW = "package:lifetimes/datasets/cdnow_customers_summary_with_transactions.csv"
SEED, NUM_DAYS, NUM_ORDERS = 7, 730, 1_000_000
MILLION = 1_000_000
SUMMARY = ("frequency", "recency", "age", "mean_repeat_value")
CUTOFF = datetime(2024, 1, 1, tzinfo=UTC)
MONTH_DAYS, NUM_MONTHS, MONTHLY_RATE = 30.0, 12, 0.01
Summary = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=350_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    peer = peer_python()
    source = resolve_path(CDNOW)
    models = fit_cdnow(source)
    orders = simulate(*models, round(1.25 * arguments.customers))  # of which there are a million
    summary = summarise(orders).head(arguments.customers)
    x, t_x, age, value = (summary[name].to_numpy().astype(float) for name in SUMMARY)
    with tempfile.TemporaryDirectory(prefix="evervalue-benchmark-") as folder:
        numbers = {
            "customers": arguments.customers,
            "distinct_summaries": len(distinct_rows(x, t_x, age)[1]),
            **compare_fits(peer, Path(folder), (x, t_x, age, value), arguments.runs),
            **compare_summaries(peer, Path(folder), orders.head(NUM_ORDERS), arguments.runs),
            "other_models": other_models((x, t_x, age, value)),
            "million": million(simulate(*models, MILLION)),
        }
    write_evidence("btyd_speed", numbers, seeds=[SEED], data=[source])


def peer_python() -> Path:
    """The interpreter that has lifetimes."""
    python = ENVIRONMENT.resolve() / "bin" / "python"
    if not (ENVIRONMENT / "complete").exists():
        print(f"making {ENVIRONMENT}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER_PACKAGES], check=True)
        (ENVIRONMENT / "complete").touch()
    return python


def fit_cdnow(source: Path) -> tuple[BetaGeometricNbd, GammaGamma]:
    """The models of CDNOW's 1/10 sample, in days."""
    table = pl.read_csv(source)
    x, t_x, age, value = (table[name].to_numpy() for name in ("x", "t_x", "T", "zbar"))
    return fit_beta_geometric(x, 7 * t_x, 7 * age, first_chances=0), fit_gamma_gamma(x, value)


def simulate(purchases: BetaGeometricNbd, values: GammaGamma, num_customers: int) -> pl.DataFrame:
    """Orders in random sequence: customer_id (a number), cutoff, occurred_at and amount."""
    random = np.random.default_rng(SEED)
    first = random.uniform(0, NUM_DAYS, num_customers)
    rate = np.maximum(random.gamma(purchases.r, 1.0 / purchases.alpha, num_customers), 1e-12)
    leaving = np.maximum(random.beta(purchases.a, purchases.b, num_customers), 1e-12)
    num_repeats = random.geometric(leaving)  # until the customer leaves
    customers, days = [np.arange(num_customers)], [first]
    buying, now, number = np.arange(num_customers), first, 0
    while len(buying):
        now, number = now + random.exponential(1.0 / rate[buying]), number + 1
        kept = now < NUM_DAYS
        buying, now = buying[kept], now[kept]
        customers.append(buying)
        days.append(now)
        stays = num_repeats[buying] > number
        buying, now = buying[stays], now[stays]
    customer, day = np.concatenate(customers), np.concatenate(days)
    scale = random.gamma(values.q, 1.0 / values.v, num_customers)
    seconds = np.minimum((day * 86_400).astype(np.int64), NUM_DAYS * 86_400 - 1)
    start = np.datetime64(CUTOFF.replace(tzinfo=None), "us") - np.timedelta64(NUM_DAYS, "D")
    return pl.DataFrame(
        {
            "customer_id": customer,
            "cutoff": pl.repeat(CUTOFF, len(customer), dtype=pl.Datetime("us", "UTC"), eager=True),
            "occurred_at": pl.Series(start + seconds.astype("timedelta64[s]")).dt.replace_time_zone(
                "UTC"
            ),
            "amount": random.gamma(values.p, 1.0 / scale[customer]),
        }
    ).sample(fraction=1.0, shuffle=True, seed=SEED)


def compare_fits(peer: Path, folder: Path, summary: Summary, runs: int) -> dict[str, object]:
    """Seconds of both sides, in turn, from summaries to the value of every customer, and how far apart they end."""
    data, output = folder / "summaries.npz", folder / "values.npz"
    frequency, recency, age, value = summary
    np.savez(data, frequency=frequency, recency=recency, age=age, value=value)
    ours, theirs = list[dict[str, float]](), list[dict[str, float]]()
    for run in range(runs + 1):
        seconds, parameters, clv = fit_and_predict(summary)
        answer = _ask(peer, "fit", data, output)
        if run:  # the first warms caches up
            ours.append(seconds)
            theirs.append(answer["seconds"])
            print(
                f"run {run}: fit ours {seconds['total']:.2f} s, lifetimes {answer['seconds']['total']:.2f} s",
                flush=True,
            )
    expected, their_clv = answer["parameters"], np.load(output)["clv"]
    return {
        "fit_ratio_to_lifetimes": _median(theirs, "total") / _median(ours, "total"),
        "fit_processor_ratio": _median(theirs, "processor") / _median(ours, "processor"),
        "fit_ratio_by_part": {
            part: _median(theirs, part) / _median(ours, part)
            for part in ("purchases", "values", "prediction")
        },
        "fit_seconds": ours,
        "fit_seconds_lifetimes": theirs,
        "max_parameter_difference": max(
            abs(value / expected[name] - 1.0) for name, value in parameters.items()
        ),
        "total_clv_difference": float(clv.sum() / their_clv.sum() - 1.0),
        "parameters": parameters,
        "parameters_lifetimes": expected,
    }


def fit_and_predict(summary: Summary) -> tuple[dict[str, float], dict[str, float], np.ndarray]:
    """Seconds by part, parameters, and the value of twelve months of 30 days (n,)."""
    x, t_x, age, value = summary
    started_at, processor_at = time.perf_counter(), time.process_time()
    purchases = fit_beta_geometric(x, t_x, age, first_chances=0)
    purchases_at = time.perf_counter()
    values = fit_gamma_gamma(x, value)
    values_at = time.perf_counter()
    months = np.arange(1, NUM_MONTHS + 1)
    orders = np.diff(
        cumulative_purchases(purchases, x, t_x, age, MONTH_DAYS * months), axis=1, prepend=0.0
    )
    clv = (orders / (1.0 + MONTHLY_RATE) ** months).sum(axis=1) * expected_order_value(
        values, x, value
    )
    ended_at = time.perf_counter()
    assert purchases.report.converged and values.report.converged
    seconds = {
        "purchases": purchases_at - started_at,
        "values": values_at - purchases_at,
        "prediction": ended_at - values_at,
        "total": ended_at - started_at,
        "processor": time.process_time() - processor_at,
    }
    parameters = {name: getattr(purchases, name) for name in ("r", "alpha", "a", "b")}
    return seconds, parameters | {name: getattr(values, name) for name in ("p", "q", "v")}, clv


def compare_summaries(
    peer: Path, folder: Path, orders: pl.DataFrame, runs: int
) -> dict[str, object]:
    """Seconds of both sides, in turn, from orders to summaries. The ratio is that of ids as numbers, best for them."""
    data, output = folder / "orders.npz", folder / "rows.npz"
    at = orders["occurred_at"].dt.replace_time_zone(None).dt.cast_time_unit("ns").to_numpy()
    customer, amount = orders["customer_id"].to_numpy(), orders["amount"].to_numpy()
    np.savez(data, customer=customer, at=at, amount=amount, cutoff=np.array(f"{CUTOFF:%Y-%m-%d}"))
    text = orders.with_columns(
        pl.format("c{}", pl.col("customer_id").cast(pl.String).str.zfill(7)).alias("customer_id")
    )
    ours, theirs = list[dict[str, float]](), list[dict[str, float]]()
    for run in range(runs + 1):
        seconds = {}
        for kind, table in (("text", text), ("number", orders)):
            started_at, processor_at = time.perf_counter(), time.process_time()
            rows = summarise(table)
            seconds[kind] = time.perf_counter() - started_at
            seconds[f"{kind}_processor"] = time.process_time() - processor_at
        answer = _ask(peer, "summary", data, output)
        if run:
            ours.append(seconds)
            theirs.append(answer["seconds"])
            print(f"run {run}: summary ours {seconds}, lifetimes {answer['seconds']}", flush=True)
    np.testing.assert_allclose(rows.select(SUMMARY).to_numpy(), np.load(output)["rows"], rtol=1e-9)
    return {
        "summary_ratio_to_lifetimes": _median(theirs, "number") / _median(ours, "number"),
        "summary_ratio_to_lifetimes_text_ids": _median(theirs, "text") / _median(ours, "text"),
        "summary_processor_ratio": _median(theirs, "number_processor")
        / _median(ours, "number_processor"),
        "summary_processor_ratio_text_ids": _median(theirs, "text_processor")
        / _median(ours, "text_processor"),
        "summary_seconds": ours,
        "summary_seconds_lifetimes": theirs,
        "orders": orders.height,
    }


def other_models(summary: Summary) -> dict[str, object]:
    """Seconds of the models that lifetimes is not compared in: fit, and the curve of twelve months."""
    x, t_x, age, _ = summary
    seconds: dict[str, object] = {}
    for name in ("mbgnbd", "pareto_nbd"):
        started_at = time.perf_counter()
        model = fit_purchases(name, x, t_x, age)
        fitted_at = time.perf_counter()
        cumulative_purchases(model, x, t_x, age, MONTH_DAYS * np.arange(1, NUM_MONTHS + 1))
        seconds[name] = {
            "fit": fitted_at - started_at,
            "prediction": time.perf_counter() - fitted_at,
        }
    return seconds


def million(orders: pl.DataFrame) -> dict[str, object]:
    """Seconds from the orders of a million customers to the value of each, and of the other models."""
    started_at = time.perf_counter()
    summary = summarise(orders)
    x, t_x, age, value = (summary[name].to_numpy().astype(float) for name in SUMMARY)
    summed_at = time.perf_counter()
    seconds, _, clv = fit_and_predict((x, t_x, age, value))
    assert len(clv) == MILLION and np.isfinite(clv).all()
    return {
        "seconds": time.perf_counter() - started_at,
        "orders": orders.height,
        "summary": summed_at - started_at,
        **seconds,
        "other_models": other_models((x, t_x, age, value)),
    }


def _ask(peer: Path, job: str, data: Path, output: Path) -> dict[str, dict[str, float]]:
    command = [str(peer), str(PEER), job, str(data), str(output)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answer: dict[str, dict[str, float]] = json.loads(printed.splitlines()[-1])
    return answer


def _median(runs: list[dict[str, float]], part: str) -> float:
    return statistics.median(run[part] for run in runs)


if __name__ == "__main__":
    main()
