"""A buy-till-you-die model as a model of spend: expected orders times their expected value."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from lifecycle.btyd.effects import BTYD_INPUTS, btyd_effects
from lifecycle.btyd.model import Btyd, btyd_churn, btyd_value
from lifecycle.spend.contributions import Contributions


@dataclass(frozen=True)
class BtydSpend:
    """A BTYD model over a horizon; those of a shop are fitted and kept together, see `btyd.model`."""

    btyd: Btyd
    horizon_days: int

    def expected_spend(self, rows: pl.DataFrame) -> np.ndarray:
        """Expected spend over the horizon, shape (n,)."""
        return btyd_value(self.btyd, rows, self.horizon_days)

    def no_purchase(self, rows: pl.DataFrame) -> np.ndarray:
        """Probability of no purchase within the horizon, shape (n,)."""
        return btyd_churn(self.btyd, rows, self.horizon_days)

    def contributions(self, rows: pl.DataFrame) -> Contributions:
        """Exact Shapley values of all that the model reads."""
        effects = btyd_effects(self.btyd, rows, self.horizon_days)
        return Contributions(BTYD_INPUTS, rows.select(BTYD_INPUTS).to_numpy(), effects)
