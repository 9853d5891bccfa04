"""Every ranker of histories by name: how it is fitted, and the settings that are tried, the usual one first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import inf

from lifecycle.recommend.scorers.als import Als, fit_als
from lifecycle.recommend.scorers.decayed import DecayedFrequency
from lifecycle.recommend.scorers.item_knn import ItemKnn
from lifecycle.recommend.scorers.ranker import Past, Ranker
from lifecycle.recommend.scorers.repurchase import Repurchase, fit_repurchase
from lifecycle.recommend.scorers.tifu_knn import TifuKnn, fit_tifu_knn
from lifecycle.recommend.scorers.up_cf import UpCf, fit_up_cf

Setting = Mapping[str, float]


@dataclass(frozen=True)
class Kind:
    """How rankers of a name are made and kept."""

    fit: Callable[..., Ranker]  # past, and a setting as keywords
    grid: Mapping[str, tuple[float, ...]]  # by keyword the values that are tried
    kept_as: type[Ranker]

    @property
    def settings(self) -> list[Setting]:
        """All combinations of the grid."""
        return [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]


def _decayed(past: Past, *, half_life_days: float) -> DecayedFrequency:
    return DecayedFrequency(half_life_days)


def _item_knn(past: Past, **setting: float) -> ItemKnn:
    return ItemKnn(past.similarity, **setting)


def _repurchase(past: Past, **setting: float) -> Repurchase:
    return fit_repurchase(past.histories, **setting)


KINDS = {
    "decayed_frequency": Kind(
        _decayed, {"half_life_days": (90.0, inf, 180.0, 30.0)}, DecayedFrequency
    ),
    "item_knn": Kind(
        _item_knn, {"half_life_days": (90.0,), "likeness_to_itself": (10.0, 1.0)}, ItemKnn
    ),
    "tifu_knn": Kind(
        fit_tifu_knn,
        {"group_decay": (0.7, 0.9), "own_share": (0.7, 0.9), "num_neighbours": (100,)},
        TifuKnn,
    ),
    "up_cf": Kind(fit_up_cf, {"num_recent": (25, 100), "locality": (5, 1)}, UpCf),
    "repurchase": Kind(
        _repurchase,
        {
            "half_life_days": (90.0, 180.0),
            "bump": (1.0, 0.0),
            "repeat_power": (1.0, 0.0),
        },
        Repurchase,
    ),
    "als": Kind(fit_als, {"num_factors": (32, 64), "confidence": (1.0, 10.0)}, Als),
}
