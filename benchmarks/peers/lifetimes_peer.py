"""The yardstick of btyd_speed: the package lifetimes, in an environment of its own that knows nothing of this project.

`python benchmarks/peers/lifetimes_peer.py fit|summary DATA.npz OUTPUT.npz` prints seconds and parameters
as JSON.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter
from lifetimes.utils import summary_data_from_transaction_data

Answer = dict[str, float | dict[str, float]]


def fit(data: dict[str, np.ndarray], output: str) -> Answer:
    """BG/NBD, Gamma-Gamma, and the value of twelve months of 30 days for every customer."""
    frequency = data["frequency"]
    recency = data["recency"]
    age = data["age"]
    value = data["value"]
    repeat = frequency > 0
    started_at = time.perf_counter()
    processor_at = time.process_time()
    purchases = BetaGeoFitter(penalizer_coef=0.0).fit(frequency, recency, age)
    purchases_at = time.perf_counter()
    values = GammaGammaFitter(penalizer_coef=0.0).fit(frequency[repeat], value[repeat])
    values_at = time.perf_counter()
    clv = values.customer_lifetime_value(
        purchases,
        *map(pd.Series, (frequency, recency, age, value)),
        time=12,
        freq="D",
        discount_rate=0.01,
    )
    ended_at = time.perf_counter()
    np.savez(output, clv=clv.to_numpy())
    return {
        "seconds": {
            "purchases": purchases_at - started_at,
            "values": values_at - purchases_at,
            "prediction": ended_at - values_at,
            "total": ended_at - started_at,
            "processor": time.process_time() - processor_at,
        },
        "parameters": {**purchases.params_, **values.params_},
        "log_likelihood": float(-purchases._negative_log_likelihood_ * len(frequency)),
    }


def summary(data: dict[str, np.ndarray], output: str) -> Answer:
    """Frequency, recency, age and value of every customer, of numbers as ids (the faster case here) and of text."""
    orders = pd.DataFrame(
        {"customer": data["customer"], "at": data["at"], "amount": data["amount"]}
    )
    seconds: dict[str, float] = {}
    for kind in ("text", "number"):
        ids = orders["customer"]
        table = orders.assign(
            customer=ids if kind == "number" else "c" + ids.astype(str).str.zfill(7)
        )
        started_at = time.perf_counter()
        processor_at = time.process_time()
        rows = summary_data_from_transaction_data(
            table, "customer", "at", "amount", observation_period_end=data["cutoff"].item()
        )
        seconds[kind] = time.perf_counter() - started_at
        seconds[f"{kind}_processor"] = time.process_time() - processor_at
    np.savez(output, rows=rows.sort_index().to_numpy())
    return {"seconds": seconds}


if __name__ == "__main__":
    _, job, source, target = sys.argv
    print(json.dumps({"fit": fit, "summary": summary}[job](dict(np.load(source)), target)))
