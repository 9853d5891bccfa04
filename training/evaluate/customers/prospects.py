"""Customers who had not bought yet: the rates the artifact keeps for them, and how those did on the test window."""

import logging
from datetime import datetime
from pathlib import Path

import polars as pl

from lifecycle.value.prospects import (
    ProspectRates,
    fit_prospects,
    prospect_conversion,
    prospect_spend,
)
from training.results.customers import ExpectedAndActual, Prospects

logger = logging.getLogger(__name__)


def judge_prospects(
    examples: Path, test_cutoff: datetime, seed: int
) -> tuple[ProspectRates | None, Prospects]:
    """Rates from the training cutoffs, and `prospects` of metrics.json: predicted and actual at the test cutoff."""
    rows = pl.read_parquet(examples / "prospects.parquet")
    is_test = pl.col("cutoff") == test_cutoff
    train = rows.filter(~is_test)
    test = rows.filter(is_test)
    rates = fit_prospects(train, seed=seed)
    found = Prospects(
        num_train_rows=train.height,
        num_customers=test.height,
        buyers=ExpectedAndActual(
            predicted=float(prospect_conversion(rates, test).sum()),
            actual=test.filter(pl.col("num_orders_ahead") > 0).height,
        ),
        spend=ExpectedAndActual(
            predicted=float(prospect_spend(rates, test).sum()),
            actual=float(test["target"].sum()),
        ),
    )
    if rows.height:
        logger.info("customers who have not bought yet: %s", found)
    return rates, found
