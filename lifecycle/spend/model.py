"""What every model of spend is: fitted to the past of a cutoff, asked for rows of customers, kept in a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import polars as pl

from lifecycle.features.standardisation import Standardisation
from lifecycle.spend.contributions import Contributions


@dataclass(frozen=True)
class Past:
    """Rows of earlier cutoffs to learn from, and all customers at a cutoff as they were known then."""

    train: pl.DataFrame
    known: pl.DataFrame
    horizon_days: int
    scale: Standardisation | None  # of FEATURES on the training rows, for the models that need one


class SpendModel(Protocol):
    """A fitted model. Rows have FEATURES and the attributes that trees read; amounts are in currency."""

    @classmethod
    def fit(cls, past: Past, *, seed: int) -> Self | None:
        """The model of a past in which somebody spends something; None where it lacks what it needs."""

    def expected_spend(self, rows: pl.DataFrame) -> np.ndarray:
        """Expected spend over the horizon, shape (n,)."""

    def no_purchase(self, rows: pl.DataFrame) -> np.ndarray | None:
        """Probability of buying nothing within the horizon, shape (n,); None where the model does not say."""

    def contributions(self, rows: pl.DataFrame) -> Contributions | None:
        """What the features add to the logarithm of expected spend; None where events explain it."""

    def save(self, folder: Path) -> None:
        """Write the model's own files."""

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where it is not there."""
