"""The one bundle of all models of spend that fit in seconds: fitted, asked and kept under their names."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from lifecycle.btyd.model import BTYD_FILE, Btyd, fit_btyd, load_btyd, save_btyd
from lifecycle.btyd.season import Season
from lifecycle.features.drivers import DRIVER_NAMES
from lifecycle.folders import Stored, read_stored, write_json
from lifecycle.names import (
    BGNBD,
    BTYD_MODELS,
    HURDLE,
    LIGHTGBM,
    MEMBERS,
    PERSISTENCE,
    STACK,
    STACK_WITHOUT_LLAMA,
    VALUE_MODELS,
    ZILN,
)
from lifecycle.spend.baselines import Persistence
from lifecycle.spend.btyd_spend import BtydSpend
from lifecycle.spend.contributions import Contributions
from lifecycle.spend.hurdle import Hurdle
from lifecycle.spend.model import Past, SpendModel
from lifecycle.spend.stack import (
    STACK_FILE,
    Stack,
    StackRead,
    fit_stack,
    load_stack,
    read_stack,
    save_stack,
    stack_contributions,
    stack_value,
)
from lifecycle.spend.stack_trees import moving_drivers
from lifecycle.spend.trees import LightGbm

logger = logging.getLogger(__name__)
SINGLE = (PERSISTENCE, LIGHTGBM, HURDLE, ZILN)  # models that need no other; see `single_model`
STACKS = (STACK, STACK_WITHOUT_LLAMA)
NOBODY: Mapping[str, np.ndarray] = {}
SEASON_FILE = "season.json"


def single_model(name: str) -> type[SpendModel]:
    """A model that needs no other. Dense ZILN brings torch, and is imported where it is asked for."""
    if name == ZILN:
        from lifecycle.spend.dense_ziln import DenseZiln

        return DenseZiln
    return {PERSISTENCE: Persistence, LIGHTGBM: LightGbm, HURDLE: Hurdle}[name]


class SeasonTotals(Stored):
    """season.json: what the months ahead bring, and what each model is multiplied by to have that total."""

    season: Season = Season()
    scales: dict[str, float] = {}


@dataclass(frozen=True)
class SpendModels:
    """Fitted models; one that is not there was not asked for, or the data do not support it."""

    horizon_days: int
    btyd: Mapping[str, Btyd]  # empty: too few customers have bought again
    single: Mapping[str, SpendModel]
    stack: Stack | None = None
    totals: SeasonTotals = field(default_factory=SeasonTotals)  # of the stack: in the stack

    @classmethod
    def fit(cls, past: Past, names: Collection[str], *, seed: int) -> Self:
        """The models `names` of a past. BTYD is fitted in any case: it spreads the total over periods.

        Those that learn from spend need somebody in `past.train` who spends something.
        """
        asked = {*names, BGNBD} if STACK in names else set(names)
        wanted = [name for name in BTYD_MODELS if name in asked]
        single: dict[str, SpendModel] = {}
        for name in SINGLE:
            model = single_model(name).fit(past, seed=seed) if name in names else None
            if model is not None:
                single[name] = model
        stack = None
        if STACK in names:
            stack = fit_stack(past.train, past.known, past.horizon_days, seed=seed)
        return cls(past.horizon_days, _fit_btyd(past, wanted or [BGNBD]), single, stack)

    def save(self, folder: Path) -> None:
        """Write every model's own files."""
        if self.btyd:
            save_btyd(self.btyd, folder)
        for model in self.single.values():
            model.save(folder)
        if self.stack is not None:
            save_stack(self.stack, folder)
        write_json(folder / SEASON_FILE, self.totals.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path, horizon_days: int, champion: str) -> Self:
        """What `save` wrote. Dense ZILN is left where it lies unless the champion is or holds it."""
        btyd = load_btyd(folder) if (folder / BTYD_FILE).exists() else {}
        stack = load_stack(folder, btyd) if (folder / STACK_FILE).exists() else None
        holds = stack.others if stack is not None and champion in STACKS else ()
        single: dict[str, SpendModel] = {}
        for name in SINGLE:
            is_needed = name != ZILN or name == champion or name in holds
            model = single_model(name).load(folder) if is_needed else None
            if model is not None:
                single[name] = model
        told = folder / SEASON_FILE  # artifacts from before have none
        totals = read_stored(told, SeasonTotals) if told.exists() else SeasonTotals()
        return cls(horizon_days, btyd, single, stack, totals)

    @property
    def season(self) -> Season:
        """What is known of the months ahead."""
        return self.totals.season

    @property
    def for_season(self) -> Btyd | None:
        """The model over whose total the season's factor is: BG/NBD, where it was asked for."""
        return self.spreading(BGNBD)

    def brought_to(self, season: Season, known: pl.DataFrame) -> Self:
        """The models with the total of `known`, the customers at the season's cutoff, that the season will bring.

        That is BG/NBD's times the season's factor. Unchanged where nothing is known of the season.
        """
        if not season.is_known:
            return replace(self, totals=SeasonTotals(season=season))
        assert self.for_season is not None
        expected = BtydSpend(self.for_season, self.horizon_days).expected_spend(known)
        right = season.factor * expected.sum()
        scales = {}
        for name in self.names:
            total = float(self.expected_spend(name, known).sum())
            scales[name] = float(right / total) if total > 0 else 1.0
        stack = self.stack
        if stack is not None:
            stack = replace(stack, total=stack.total * scales.pop(STACK))
        return replace(self, stack=stack, totals=SeasonTotals(season=season, scales=scales))

    def with_scales(self, scales: Mapping[str, float]) -> Self:
        """The same, with what LLaMA encoders are multiplied by, by name."""
        totals = self.totals.model_copy(update={"scales": {**self.totals.scales, **scales}})
        return replace(self, totals=totals)

    @property
    def names(self) -> list[str]:
        """The models that can be asked, in the order of VALUE_MODELS."""
        there = {*self.btyd, *self.single, *(() if self.stack is None else (STACK,))}
        return [name for name in VALUE_MODELS if name in there]

    def explained_spend(
        self, name: str, rows: pl.DataFrame, by_members: Mapping[str, np.ndarray] = NOBODY
    ) -> tuple[np.ndarray, Contributions | None]:
        """`expected_spend` and `contributions`, for which a stack reads the customers once."""
        is_stack = self.stack is not None and name in STACKS
        read = read_stack(self.stack, rows) if self.stack is not None and is_stack else None
        return (
            self.expected_spend(name, rows, by_members, read),
            self.contributions(name, rows, read),
        )

    def expected_spend(
        self,
        name: str,
        rows: pl.DataFrame,
        by_members: Mapping[str, np.ndarray] = NOBODY,
        read: StackRead | None = None,
    ) -> np.ndarray:
        """What a model expects customers to spend over the horizon, shape (n,).

        `by_members` has what the LLaMA encoders expect that the model is or holds, by name. Raises
        ValueError for a model that is not there. `read` is what the stack read of them already.
        """
        spend: np.ndarray = self._at_its_cutoff(name, rows, by_members, read)
        if self.season.is_known:
            spend = spend * self.season.ahead(rows["cutoff"], self.horizon_days)
        return spend

    def _at_its_cutoff(
        self,
        name: str,
        rows: pl.DataFrame,
        by_members: Mapping[str, np.ndarray],
        read: StackRead | None = None,
    ) -> np.ndarray:
        """Expected spend as if every row had the season's own cutoff."""
        scale = self.totals.scales.get(name, 1.0)
        if name in by_members:
            return scale * by_members[name]
        if self.stack is None or name not in STACKS:
            return scale * self._alone(name).expected_spend(rows)
        others = {other: self._at_its_cutoff(other, rows, NOBODY) for other in self.stack.others}
        encoders = by_members if name == STACK else None
        return stack_value(self.stack, rows, others, encoders, read)

    def contributions(
        self, name: str, rows: pl.DataFrame, read: StackRead | None = None
    ) -> Contributions | None:
        """What the features add to the logarithm of a model's predictions; None where events explain them."""
        if name in MEMBERS:
            return None
        if self.stack is None or name not in STACKS:
            return self._alone(name).contributions(rows)
        return stack_contributions(self.stack, rows, read)

    def possible_drivers(self, name: str, rows: pl.DataFrame) -> frozenset[str]:
        """Those of DRIVER_NAMES that may have moved a model's predictions."""
        if self.stack is None or name not in STACKS:
            return frozenset(DRIVER_NAMES)
        return moving_drivers(self.stack.trees.values(), rows)

    def no_purchase(self, name: str, rows: pl.DataFrame) -> np.ndarray | None:
        """Probability of buying nothing within the horizon, shape (n,); None where the model does not say."""
        return None if name in STACKS else self._alone(name).no_purchase(rows)

    def spreading(self, champion: str) -> Btyd | None:
        """The model that says how the champion's total is spread over periods: itself where it can, else the first."""
        return self.btyd.get(champion, next(iter(self.btyd.values()), None))

    def _alone(self, name: str) -> SpendModel | BtydSpend:
        if name in self.btyd:
            return BtydSpend(self.btyd[name], self.horizon_days)
        if name not in self.single:
            raise ValueError(f"there is no model {name!r}; models are {', '.join(self.names)}")
        return self.single[name]


def _fit_btyd(past: Past, names: Sequence[str]) -> dict[str, Btyd]:
    """The BTYD models `names` of the customers known; none, with a warning, where they do not fit."""
    try:
        return fit_btyd(past.known, names)
    except ValueError as error:
        logger.warning("left out: %s, since %s", ", ".join(names), error)
        return {}
