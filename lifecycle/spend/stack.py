"""The stack: three kinds of trees that know what BG/NBD expects, blended, and brought to a total that time passes in.

Trees learn at earlier cutoffs and take today's customers for those of then: their total is off by a
quarter where a cohort grows old. Trees whose scores start from BG/NBD's expectation at each cutoff
learn by how much it errs instead. The total is halfway between BG/NBD's and theirs, on a
logarithmic scale: neither is better on every shop. The plain mean of the three errs less than each
(Bates and Granger 1969). Trees need many customers and BG/NBD does not, so BG/NBD itself has a
share that falls as there are more; where it misleads it has none, nor any part in the total. It also
has what trees cannot tell: the largest training customers lie in one leaf, and of whoever is
expected to spend more trees say the same. There their share fades to BG/NBD's. Other models, and
LLaMA encoders after them, join with the shares that customers whose outcome no model knew give them.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from lightgbm import Booster

from lifecycle.btyd.effects import BTYD_INPUTS, btyd_effects
from lifecycle.btyd.model import Btyd
from lifecycle.names import BGNBD
from lifecycle.spend.blend import blend
from lifecycle.spend.contributions import Contributions, shap_values
from lifecycle.spend.stack_trees import (
    BTYD_NUMBERS,
    CORRECTING,
    INFORMED,
    LEAST_SPEND,
    btyd_share,
    btyd_spend_of,
    fit_trees,
    lessons_of,
    log_btyd,
    stack_inputs,
    supported_btyd,
)
from lifecycle.spend.trees import inputs_of

STACK_FILE = "stack.json"
LARGEST = 30  # training customers; trees are trusted up to what BG/NBD expects of the last of them


@dataclass(frozen=True)
class MemberShare:
    """What a model's spend is multiplied by to have the total of all else, and its share of the blend."""

    scale: float
    share: float


@dataclass(frozen=True)
class Stack:
    """The trees by name, BG/NBD at the cutoff that they are applied at, and what each is multiplied by."""

    trees: dict[str, Booster]
    # None: too few customers have bought again, and there are no correcting trees.
    btyd: Btyd | None
    scales: dict[str, float]
    horizon_days: int
    btyd_share: float = 0.0  # of BG/NBD itself beside the trees
    reach: float = math.inf  # of trees: from this expectation of BG/NBD on their share fades
    # What trees and BG/NBD together are multiplied by, to have the total that the season will bring.
    total: float = 1.0
    others: dict[str, MemberShare] = field(default_factory=dict)  # cheap models
    members: dict[str, MemberShare] = field(default_factory=dict)  # LLaMA encoders

    @property
    def is_misled(self) -> bool:
        """Whether BG/NBD says so little of these customers that no total is taken from it."""
        return self.btyd is not None and not self.btyd_share


def fit_stack(train: pl.DataFrame, known: pl.DataFrame, horizon_days: int, *, seed: int) -> Stack:
    """The stack for a cutoff: from training rows of earlier cutoffs and all customers as they are `known` at it.

    Somebody in `train` must spend something. From `known` come BG/NBD and the total.
    """
    lessons = lessons_of(train, horizon_days)
    fitted = fit_trees(lessons, seed)
    btyd = supported_btyd(known)
    trees = {
        name: booster for name, booster in fitted.items() if btyd is not None or name != CORRECTING
    }
    stack = Stack(trees, btyd, dict.fromkeys(trees, 1.0), horizon_days)
    inputs = stack_inputs(known, btyd, horizon_days)
    totals = {name: float(values.sum()) for name, values in _components(stack, inputs).items()}
    right = totals[INFORMED]
    share = 0.0 if btyd is None else btyd_share(lessons, seed)
    if share and CORRECTING in totals:
        right = float(np.sqrt(totals[CORRECTING] * btyd_spend_of(inputs).sum()))
    scales = {name: right / total if total > 0 else 1.0 for name, total in totals.items()}
    even = replace(stack, scales=scales, btyd_share=share)
    if not share:
        return even
    faded = replace(even, reach=_reach(lessons.expected))
    return replace(faded, total=_total(even, inputs) / _total(faded, inputs))


def _reach(expected: np.ndarray) -> float:
    """What BG/NBD expects of the last of the largest training customers, (n,) of all; NaN where it is not defined."""
    largest = np.sort(expected[np.isfinite(expected)])[-LARGEST:]
    return float(largest[0]) if len(largest) else math.inf


def _total(stack: Stack, inputs: np.ndarray) -> float:
    return float(np.sum(list(_parts(stack, inputs).values())))


@dataclass(frozen=True)
class StackRead:
    """What trees read of n customers, (n, k), and what each part of the stack brings to their spend, (n,)."""

    inputs: np.ndarray
    parts: dict[str, np.ndarray]


def read_stack(stack: Stack, rows: pl.DataFrame) -> StackRead:
    """What `stack_value` and `stack_contributions` both need."""
    inputs = stack_inputs(rows, stack.btyd, stack.horizon_days)
    return StackRead(inputs, _parts(stack, inputs))


def stack_value(
    stack: Stack,
    rows: pl.DataFrame,
    by_others: Mapping[str, np.ndarray] | None = None,
    by_members: Mapping[str, np.ndarray] | None = None,
    read: StackRead | None = None,
) -> np.ndarray:
    """Expected spend over the horizon, shape (n,).

    `by_others` and `by_members` have that of each of the cheap models and of the encoders that
    joined the stack, by name. Without `by_members` it is that of the stack without encoders. `read`
    is what `read_stack` gives, where that was asked for already.
    """
    read = read or read_stack(stack, rows)
    base = stack.total * np.sum(list(read.parts.values()), axis=0)
    alone = _joined(base, stack.others, by_others or {})
    return alone if by_members is None else _joined(alone, stack.members, by_members)


def _joined(
    base: np.ndarray, joined: dict[str, MemberShare], by_models: Mapping[str, np.ndarray]
) -> np.ndarray:
    scaled = {name: model.scale * by_models[name] for name, model in joined.items()}
    return blend(base, scaled, {name: model.share for name, model in joined.items()})


def shares_of(stack: Stack) -> dict[str, float]:
    """How much of what the stack expects is by trees, by BG/NBD, and by each model that joined; they sum to 1."""
    shares = {"trees": 1.0 - stack.btyd_share, BGNBD: stack.btyd_share}
    for joined in (stack.others, stack.members):
        left = 1.0 - sum(model.share for model in joined.values())
        shares = {name: left * share for name, share in shares.items()}
        shares |= {name: model.share for name, model in joined.items()}
    return {name: share for name, share in shares.items() if share}


def stack_contributions(
    stack: Stack, rows: pl.DataFrame, read: StackRead | None = None
) -> Contributions:
    """What moved the stack: the effects on trees and BG/NBD, each by its share of the spend that these expect.

    Those of trees that correct BG/NBD are added to its own. Models that joined the stack are taken
    to move alike.
    """
    names = (*inputs_of(rows), *BTYD_NUMBERS)
    read = read or read_stack(stack, rows)
    inputs, whole = read.inputs, np.sum(list(read.parts.values()), axis=0)
    shares = {name: part / whole for name, part in read.parts.items()}
    effects = np.sum(
        [shares[name][:, None] * shap_values(trees, inputs) for name, trees in stack.trees.items()],
        axis=0,
    )
    if stack.btyd is not None:
        share = shares.get(BGNBD, 0.0) + shares.get(CORRECTING, 0.0)
        columns = [names.index(name) for name in BTYD_INPUTS]
        effects[:, columns] += np.reshape(share, (-1, 1)) * btyd_effects(
            stack.btyd, rows, stack.horizon_days
        )
    return Contributions(names, inputs, effects)


def save_stack(stack: Stack, folder: Path) -> None:
    """Write the trees as LightGBM's text and the scales as JSON; BG/NBD is saved with its like."""
    for name, booster in stack.trees.items():
        booster.save_model(folder / f"stack-{name}.txt")
    content = {
        "scales": stack.scales,
        "btyd_share": stack.btyd_share,
        "reach": stack.reach if math.isfinite(stack.reach) else None,
        "total": stack.total,
        "horizon_days": stack.horizon_days,
        "others": {name: asdict(share) for name, share in stack.others.items()},
        "members": {name: asdict(share) for name, share in stack.members.items()},
    }
    (folder / STACK_FILE).write_text(json.dumps(content, indent=1))


def load_stack(folder: Path, btyds: dict[str, Btyd]) -> Stack:
    """What `save_stack` wrote, with the models of purchases saved beside it."""
    content = json.loads((folder / STACK_FILE).read_text())
    trees = {name: Booster(model_file=folder / f"stack-{name}.txt") for name in content["scales"]}
    assert BGNBD in btyds or CORRECTING not in trees, "trees of the stack correct BG/NBD"
    return Stack(
        trees=trees,
        btyd=btyds.get(BGNBD),
        scales=content["scales"],
        horizon_days=content["horizon_days"],
        btyd_share=content["btyd_share"],
        reach=content.get("reach") or math.inf,  # those of before had none
        total=content.get("total", 1.0),
        others=_shares(content["others"]),
        members=_shares(content["members"]),
    )


def _shares(content: dict[str, dict[str, float]]) -> dict[str, MemberShare]:
    return {name: MemberShare(**share) for name, share in content.items()}


def _parts(stack: Stack, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """What trees and BG/NBD bring to the spend that the stack expects without encoders, shape (n,) each."""
    trees = _components(stack, inputs)
    if stack.btyd is None:
        return {name: stack.scales[name] / len(trees) * values for name, values in trees.items()}
    expected = btyd_spend_of(inputs)
    share = (1.0 - stack.btyd_share) * np.minimum(
        1.0, stack.reach / np.maximum(expected, LEAST_SPEND)
    )
    parts = {
        name: share * stack.scales[name] / len(trees) * values for name, values in trees.items()
    }
    return parts | {BGNBD: (1.0 - share) * expected}


def _components(stack: Stack, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Expected spend by each kind of trees before scaling, shape (n,)."""
    values = {}
    for name, booster in stack.trees.items():
        scores = np.asarray(booster.predict(inputs, raw_score=True, num_threads=1), dtype=float)
        if name == CORRECTING:
            scores = scores + log_btyd(inputs)
        values[name] = np.exp(scores)
    return values
