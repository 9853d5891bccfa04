"""The one bundle of all models of spend that fit in seconds: fitted, asked and kept under their names."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl

from lifecycle.btyd.model import BTYD_FILE, Btyd, fit_btyd, load_btyd, save_btyd
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
    fit_stack,
    load_stack,
    save_stack,
    stack_contributions,
    stack_value,
)
from lifecycle.spend.trees import LightGbm

logger = logging.getLogger(__name__)
SINGLE = (PERSISTENCE, LIGHTGBM, HURDLE, ZILN)  # models that need no other; see `single_model`
STACKS = (STACK, STACK_WITHOUT_LLAMA)
NOBODY: Mapping[str, np.ndarray] = {}


def single_model(name: str) -> type[SpendModel]:
    """A model that needs no other. Dense ZILN brings torch, and is imported where it is asked for."""
    if name == ZILN:
        from lifecycle.spend.dense_ziln import DenseZiln

        return DenseZiln
    return {PERSISTENCE: Persistence, LIGHTGBM: LightGbm, HURDLE: Hurdle}[name]


@dataclass(frozen=True)
class SpendModels:
    """Fitted models; one that is not there was not asked for, or the data do not support it."""

    horizon_days: int
    btyd: Mapping[str, Btyd]  # empty: too few customers have bought again
    single: Mapping[str, SpendModel]
    stack: Stack | None = None

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
        return cls(horizon_days, btyd, single, stack)

    @property
    def names(self) -> list[str]:
        """The models that can be asked, in the order of VALUE_MODELS."""
        there = {*self.btyd, *self.single, *(() if self.stack is None else (STACK,))}
        return [name for name in VALUE_MODELS if name in there]

    def expected_spend(
        self, name: str, rows: pl.DataFrame, by_members: Mapping[str, np.ndarray] = NOBODY
    ) -> np.ndarray:
        """What a model expects customers to spend over the horizon, shape (n,).

        `by_members` has what the LLaMA encoders expect that the model is or holds, by name. Raises
        ValueError for a model that is not there.
        """
        if name in by_members:
            return by_members[name]
        if self.stack is None or name not in STACKS:
            return self._alone(name).expected_spend(rows)
        others = {other: self.expected_spend(other, rows) for other in self.stack.others}
        return stack_value(self.stack, rows, others, by_members if name == STACK else None)

    def contributions(self, name: str, rows: pl.DataFrame) -> Contributions | None:
        """What the features add to the logarithm of a model's predictions; None where events explain them."""
        if name in MEMBERS:
            return None
        if self.stack is None or name not in STACKS:
            return self._alone(name).contributions(rows)
        return stack_contributions(self.stack, rows)

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
