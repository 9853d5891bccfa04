"""The stack: three kinds of trees that know what BG/NBD expects, blended, and brought to a total that time passes in.

Trees learn at earlier cutoffs and take today's customers for those of then: their total is off by a
quarter where a cohort grows old. Trees whose scores start from BG/NBD's expectation at each cutoff
learn by how much it errs instead. The total is halfway between BG/NBD's and theirs, on a
logarithmic scale: neither is better on every shop. The plain mean of the three errs less than each
(Bates and Granger 1969). Trees need many customers and BG/NBD does not, so BG/NBD itself has a
share that falls as there are more. Other models, and LLaMA encoders after them, join with the
shares that customers whose outcome no model knew give them.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
from lightgbm import Booster, Dataset, train

from lifecycle.btyd.effects import BTYD_INPUTS, btyd_effects
from lifecycle.btyd.model import Btyd, btyd_active, btyd_order_value, btyd_value, fit_btyd
from lifecycle.names import BGNBD
from lifecycle.spend.blend import blend
from lifecycle.spend.contributions import Contributions, shap_values
from lifecycle.spend.trees import LIGHTGBM_PARAMETERS, NUM_TREES, feature_matrix, inputs_of

STACK_FILE = "stack.json"
BTYD_NUMBERS = ("btyd_spend", "btyd_orders", "btyd_order_value", "btyd_active")
CORRECTING, INFORMED, SLOW = "correcting", "informed", "slow"
SETTINGS: dict[
    str, tuple[int, dict[str, object]]
] = {  # trees, and what differs from LIGHTGBM_PARAMETERS
    CORRECTING: (NUM_TREES * 3 // 5, {}),
    INFORMED: (NUM_TREES, {}),
    SLOW: (600, {"learning_rate": 0.015, "num_leaves": 8, "feature_fraction": 0.3}),
}
TRUSTED_BUYERS = 500  # training customers who spent over the horizon: from as many, trees count as much as BG/NBD
LEAST_SPEND = 1e-3  # of BG/NBD's expectation, whose logarithm the correcting trees start from


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
    others: dict[str, MemberShare] = field(default_factory=dict)  # cheap models
    members: dict[str, MemberShare] = field(default_factory=dict)  # LLaMA encoders


def fit_stack(train: pl.DataFrame, known: pl.DataFrame, horizon_days: int, *, seed: int) -> Stack:
    """The stack for a cutoff: from training rows of earlier cutoffs and all customers as they are `known` at it.

    Somebody in `train` must spend something. From `known` come BG/NBD and the total.
    """
    fitted, btyd = _fit_trees(train, horizon_days, seed), _supported(known)
    trees = {
        name: booster for name, booster in fitted.items() if btyd is not None or name != CORRECTING
    }
    stack = Stack(trees, btyd, dict.fromkeys(trees, 1.0), horizon_days)
    inputs = stack_inputs(known, btyd, horizon_days)
    totals = {name: float(values.sum()) for name, values in _components(stack, inputs).items()}
    right = totals[INFORMED]
    if btyd is not None and CORRECTING in totals:
        right = float(np.sqrt(totals[CORRECTING] * _btyd_spend(inputs).sum()))
    scales = {name: right / total if total > 0 else 1.0 for name, total in totals.items()}
    return replace(stack, scales=scales, btyd_share=0.0 if btyd is None else _btyd_share(train))


def _btyd_share(train: pl.DataFrame) -> float:
    """By the customers at the latest training cutoff; see benchmarks/small_data.py."""
    latest = train.filter(pl.col("cutoff") == pl.col("cutoff").max())
    num_buyers = latest.filter(pl.col("target") > 0).height
    return TRUSTED_BUYERS / (TRUSTED_BUYERS + num_buyers)


def stack_value(
    stack: Stack,
    rows: pl.DataFrame,
    by_others: Mapping[str, np.ndarray] | None = None,
    by_members: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Expected spend over the horizon, shape (n,).

    `by_others` and `by_members` have that of each of the cheap models and of the encoders that
    joined the stack, by name. Without `by_members` it is that of the stack without encoders.
    """
    parts = _parts(stack, stack_inputs(rows, stack.btyd, stack.horizon_days))
    alone = _joined(np.sum(list(parts.values()), axis=0), stack.others, by_others or {})
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


def stack_inputs(rows: pl.DataFrame, btyd: Btyd | None, horizon_days: int) -> np.ndarray:
    """What trees read of customers, `inputs_of` and BTYD_NUMBERS, as float64 (n, k); what is not defined is NaN."""
    if btyd is None:
        expected = np.full((rows.height, len(BTYD_NUMBERS)), np.nan)
    else:
        spend, order_value = btyd_value(btyd, rows, horizon_days), btyd_order_value(btyd, rows)
        expected = np.column_stack(
            [spend, spend / order_value, order_value, btyd_active(btyd, rows)]
        )
    return np.hstack([feature_matrix(rows), expected])


def stack_contributions(stack: Stack, rows: pl.DataFrame) -> Contributions:
    """What moved the stack: the effects on trees and BG/NBD, each by its share of the spend that these expect.

    Those of trees that correct BG/NBD are added to its own. Models that joined the stack are taken
    to move alike.
    """
    names, inputs = (
        (*inputs_of(rows), *BTYD_NUMBERS),
        stack_inputs(rows, stack.btyd, stack.horizon_days),
    )
    parts = _parts(stack, inputs)
    shares = {name: part / np.sum(list(parts.values()), axis=0) for name, part in parts.items()}
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
    content: dict[str, object] = {
        "scales": stack.scales,
        "btyd_share": stack.btyd_share,
        "horizon_days": stack.horizon_days,
    }
    for key, joined in (("others", stack.others), ("members", stack.members)):
        content |= {key: {name: asdict(model) for name, model in joined.items()}}
    (folder / STACK_FILE).write_text(json.dumps(content, indent=1))


def load_stack(folder: Path, btyds: dict[str, Btyd]) -> Stack:
    """What `save_stack` wrote, with the models of purchases saved beside it."""
    content = json.loads((folder / STACK_FILE).read_text())
    trees = {name: Booster(model_file=folder / f"stack-{name}.txt") for name in content["scales"]}
    assert BGNBD in btyds or not content["btyd_share"], "BG/NBD has a share in the stack"
    others, members = (
        {name: MemberShare(**model) for name, model in content[key].items()}
        for key in ("others", "members")
    )
    btyd, scales = btyds.get(BGNBD), content["scales"]
    return Stack(
        trees, btyd, scales, content["horizon_days"], content["btyd_share"], others, members
    )


def _fit_trees(rows: pl.DataFrame, horizon_days: int, seed: int) -> dict[str, Booster]:
    """Trees on rows of several cutoffs, each with its own BG/NBD.

    Where a cutoff does not support BG/NBD its rows are left to the trees that do without it.
    """
    parts = [(part, _supported(part)) for part in rows.partition_by("cutoff", maintain_order=True)]
    inputs = np.vstack([stack_inputs(part, model, horizon_days) for part, model in parts])
    target = np.concatenate([part["target"].to_numpy() for part, _ in parts])
    start = _log_btyd(inputs)
    known = np.isfinite(start)
    fitted = {name: _fit(name, inputs, target, None, seed) for name in (INFORMED, SLOW)}
    if known.any() and target[known].sum() > 0:
        fitted[CORRECTING] = _fit(CORRECTING, inputs[known], target[known], start[known], seed)
    return fitted


def _supported(rows: pl.DataFrame) -> Btyd | None:
    try:
        return fit_btyd(rows, (BGNBD,))[BGNBD]
    except ValueError:
        return None


def _btyd_spend(inputs: np.ndarray) -> np.ndarray:
    """BG/NBD's expected spend among what trees read, shape (n,); NaN without one."""
    spend: np.ndarray = inputs[:, BTYD_NUMBERS.index("btyd_spend") - len(BTYD_NUMBERS)]
    return spend


def _log_btyd(inputs: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(_btyd_spend(inputs), LEAST_SPEND))  # type: ignore[no-any-return]


def _fit(
    name: str, inputs: np.ndarray, target: np.ndarray, start: np.ndarray | None, seed: int
) -> Booster:
    num_trees, changes = SETTINGS[name]
    return train(
        LIGHTGBM_PARAMETERS | changes | {"seed": seed},
        Dataset(inputs, target, init_score=start),
        num_trees,
    )


def _parts(stack: Stack, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """What trees and BG/NBD bring to the spend that the stack expects without encoders, shape (n,) each."""
    trees = _components(stack, inputs)
    share = (1.0 - stack.btyd_share) / len(trees)
    parts = {name: share * stack.scales[name] * values for name, values in trees.items()}
    return parts | ({BGNBD: stack.btyd_share * _btyd_spend(inputs)} if stack.btyd_share else {})


def _components(stack: Stack, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Expected spend by each kind of trees before scaling, shape (n,)."""
    values = {}
    for name, booster in stack.trees.items():
        scores = np.asarray(booster.predict(inputs, raw_score=True, num_threads=1), dtype=float)
        if name == CORRECTING:
            scores = scores + _log_btyd(inputs)
        values[name] = np.exp(scores)
    return values
