"""The recipe of `training.prepare`, and the days that follow from it."""

from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from lifecycle.config import Config
from lifecycle.features.standardisation import StandardisationRules
from lifecycle.features.vocabulary import VocabularyRules
from training.prepare.dataset import BACKTEST, SAME_SEASON

YEAR_DAYS = 365


class PrepareConfig(Config):
    """Recipe of `python -m training.prepare`. Dates are UTC midnights."""

    data: Path
    split: Literal["time", "leave_one_out"] = "time"
    test_cutoff: date | None = None  # None: the latest whose horizon the data cover
    horizon_days: int = Field(90, ge=1, le=3660)
    num_train_cutoffs: int = Field(4, ge=1, le=60)
    train_cutoffs: tuple[date, ...] | None = None  # instead of num_train_cutoffs
    standardisation: StandardisationRules = StandardisationRules()
    vocabulary: VocabularyRules = VocabularyRules()  # of the sequence encoder
    backtest: bool = True  # also examples that end before the test cutoff, to choose models on
    seed: int = 0
    output: Path

    @model_validator(mode="after")
    def _train_before_test(self) -> "PrepareConfig":
        for cutoff in self.train_cutoffs or ():
            if self.test_cutoff and cutoff + timedelta(days=self.horizon_days) > self.test_cutoff:
                raise ValueError(
                    f"train_cutoffs: {cutoff} + {self.horizon_days} days ends after test_cutoff {self.test_cutoff}"
                )
        return self


def cutoffs_for(config: PrepareConfig, first: date, last: date) -> tuple[date, list[date]]:
    """The test cutoff and the training cutoffs, oldest first; `first` and `last` are days with purchases.

    The latest training cutoff lies one horizon before the test cutoff; the others go back in equal
    steps of whole weeks to the day on which half of the time before it, at most one horizon, has
    passed. Raises ValueError where the data are too short for the horizon.
    """
    horizon = timedelta(days=config.horizon_days)
    end = last + timedelta(days=1)
    test = config.test_cutoff or end - horizon
    if test + horizon > end:
        raise ValueError(
            f"horizon_days is {config.horizon_days} from test_cutoff {test}, but the purchases end on {last}: "
            f"the latest cutoff these data cover is {end - horizon}"
        )
    latest = test - horizon
    if config.train_cutoffs is None:
        train = _equal_steps(config, first, latest)
    else:
        train = sorted(config.train_cutoffs)
        if not train or train[-1] > latest:
            raise ValueError(
                f"train_cutoffs must hold days up to {latest} (test_cutoff - horizon_days), not {train}"
            )
    if train[0] <= first:
        raise ValueError(
            f"horizon_days is {config.horizon_days}, but the purchases begin on {first}: a training cutoff on "
            f"{train[0]} has no history (first purchase to test_cutoff {test} must be longer than two horizons)"
        )
    return test, train


def _equal_steps(config: PrepareConfig, first: date, latest: date) -> list[date]:
    horizon = timedelta(days=config.horizon_days)
    earliest = first + min(horizon, (latest - first) / 2)
    steps = max(config.num_train_cutoffs - 1, 1)
    days = (latest - earliest).days // steps
    step = timedelta(days=max(1, days // 7 * 7 or days))
    return sorted({latest - step * back for back in range(config.num_train_cutoffs)})


def earlier_selection(config: PrepareConfig, first: date, latest: date) -> date | None:
    """The cutoff of a second selection window, which ends where the validation window begins.

    None where less than one horizon of history would lie before it.
    """
    horizon = timedelta(days=config.horizon_days)
    return latest - horizon if latest - 2 * horizon >= first else None


def backtest_recipe(
    config: PrepareConfig, first: date, test: date, num_cutoffs: int
) -> PrepareConfig | None:
    """The recipe of the same examples for an earlier test cutoff, whose outcomes are known at the real one, `test`.

    It lies one horizon earlier, or half of one, and then has half the horizon. None where less than
    a horizon of history would lie before the latest training cutoff, or where `config` asks for
    none.
    """
    for days in (config.horizon_days, config.horizon_days // 2):
        earlier = test - timedelta(days=days)
        if days and (found := _earlier_recipe(config, first, earlier, days, num_cutoffs)):
            return found.model_copy(update={"output": config.output / BACKTEST})
    return None


def same_season_recipe(
    config: PrepareConfig, first: date, test: date, num_cutoffs: int
) -> PrepareConfig | None:
    """The same for the test cutoff a year earlier; None too where the horizon is as long as that."""
    earlier = test - timedelta(days=YEAR_DAYS)
    if config.horizon_days >= YEAR_DAYS:
        return None
    found = _earlier_recipe(config, first, earlier, config.horizon_days, num_cutoffs)
    return found and found.model_copy(update={"output": config.output / SAME_SEASON})


def _earlier_recipe(
    config: PrepareConfig, first: date, earlier: date, horizon_days: int, num_cutoffs: int
) -> PrepareConfig | None:
    """For the test cutoff `earlier`, with at most `num_cutoffs` training cutoffs."""
    horizon = timedelta(days=horizon_days)
    latest = earlier - horizon
    if not config.backtest or latest < first + horizon:
        return None
    # Days from the middle of the history to the latest training cutoff.
    most = (latest - first).days // 2
    changes = {
        "test_cutoff": earlier,
        "horizon_days": horizon_days,
        "num_train_cutoffs": max(1, min(num_cutoffs, most)),
        "train_cutoffs": None,
        "backtest": False,
    }
    return config.model_copy(update=changes)
