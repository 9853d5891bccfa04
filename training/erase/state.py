"""Customer state whose table of customers is clean already: the answers of all others, end to end again."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from lifecycle.config import Tree
from lifecycle.state.files import (
    ANSWERS_FILE,
    CUSTOMERS_FILE,
    HASHES_FILE,
    PLACES_FILE,
    write_answers,
)
from lifecycle.state.lookup import CustomerState

CUSTOMERS_AT_A_TIME = 10_000


def clean_state(source: Path, target: Path) -> Tree:
    """Write answers and index in `target` for the customers of its table; returns what changes in the manifest."""
    for name in (ANSWERS_FILE, HASHES_FILE, PLACES_FILE):
        (target / name).unlink()  # the file may be the old folder's too
    customers = pl.read_parquet(target / CUSTOMERS_FILE, columns=["customer_id"]).to_series()
    return {"num_customers": write_answers(target, _parts(CustomerState(source), customers))}


def _parts(state: CustomerState, customers: pl.Series) -> Iterator[pl.DataFrame]:
    for start in range(0, len(customers), CUSTOMERS_AT_A_TIME):
        ids = customers.slice(start, CUSTOMERS_AT_A_TIME)
        answers = pl.Series("answer", [state.find(each) for each in ids], dtype=pl.Binary)
        yield pl.DataFrame([ids, answers])
