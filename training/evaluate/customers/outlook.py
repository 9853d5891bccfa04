"""What the artifact says of the test customers: segments, stages and where they lead, attributes, ten examples."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact.answers import contributions_of, reasons_for, stages_for, values_for
from lifecycle.artifact.assessment import Assessment, assess_buyers, money_of
from lifecycle.artifact.champion import load_champion
from lifecycle.artifact.contents import Artifact
from lifecycle.artifact.leave_out import event_effects
from lifecycle.decisions.segments import SEGMENTS
from lifecycle.decisions.stages import NEW, STAGES, transitions
from lifecycle.events.history import KEYS
from lifecycle.events.schema import OWN_RATE
from lifecycle.events.shards import shard_paths
from lifecycle.features.attributes import read_customers
from lifecycle.spend.contributions import NUM_REASONS, Reason
from training.evaluate.artifact import with_own_rates
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.customers import (
    AttributeGroup,
    Customers,
    ExampleCustomer,
    HiddenGroups,
    SegmentTotals,
    Transitions,
)

NUM_EXAMPLES = 10
Reasons = dict[str, list[Reason]]  # of a prediction: `features` and `events`
MAX_GROUPS = 12  # values of an attribute that are shown; of more numbers, quarters


def outlook(
    artifact: Artifact,
    sets: ExampleSets,
    predicted: np.ndarray,
    data: Path,
    members: Mapping[str, Path],
    prospects: pl.DataFrame,
    groups: HiddenGroups | None,
) -> Customers:
    """What is said of the test customers, from the champion's expected spend of the test customers, shape (n,).

    `members` has the folders of the encoders, `prospects` customer_id and cutoff of those who had
    not bought before it.
    """

    def why(rows: np.ndarray) -> list[Reasons]:
        return _reasons(artifact, test[rows], predicted[rows], data, members)

    test = with_own_rates(sets.test, data)
    actual = target_of(test)
    assessment = assess_buyers(artifact, test, predicted)
    stage = assessment.labels["stage"]
    num_prospects = len(_at(prospects, test))
    return Customers(
        segments=_segments(assessment, predicted, actual),
        stages={name: int((stage == name).sum()) for name in STAGES} | {NEW: num_prospects},
        transitions=_transitions(artifact, sets, stage, prospects),
        actions=_counts(assessment.labels["next_best_action"]),
        attributes=_attributes(test["customer_id"], data, predicted, actual),
        examples=_examples(test["customer_id"], assessment, why),
        groups=groups,
    )


def _counts(labels: np.ndarray) -> dict[str, int]:
    """How many customers have each label, by its name."""
    names, counts = np.unique(labels, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _segments(
    assessment: Assessment, predicted: np.ndarray, actual: np.ndarray
) -> dict[str, SegmentTotals]:
    """By segment: customers, their value in all, and their predicted and actual spend."""
    segment = assessment.labels["segment"]
    totals: dict[str, SegmentTotals] = {}
    for name in reversed(SEGMENTS):
        here = segment == name
        if here.any():
            totals[name] = SegmentTotals(
                num_customers=int(here.sum()),
                clv=float(assessment.values.clv[here].sum()),
                predicted=float(predicted[here].sum()),
                actual=float(actual[here].sum()),
            )
    return totals


def _at(prospects: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """The prospects at the one cutoff of some rows."""
    return prospects.filter(pl.col("cutoff").is_in(rows["cutoff"].unique().implode()))[
        "customer_id"
    ]


def _transitions(
    artifact: Artifact, sets: ExampleSets, stage: np.ndarray, prospects: pl.DataFrame
) -> Transitions:
    """Where the customers of each stage at the latest training cutoff are at the test cutoff."""
    rows = pl.concat([sets.train, sets.selection]).filter(
        pl.col("cutoff") == pl.col("cutoff").max()
    )
    new_then = _at(prospects, rows)
    new_now = _at(prospects, sets.test)
    then = values_for(artifact, rows, np.zeros(rows.height))
    before = stages_for(artifact, rows, then.churn_probability)
    earlier = pl.DataFrame({"customer_id": rows["customer_id"], "before": before})
    earlier = earlier.extend(
        pl.DataFrame({"customer_id": new_then, "before": [NEW] * len(new_then)})
    )
    now = pl.DataFrame({"customer_id": sets.test["customer_id"], "after": stage})
    now = now.extend(pl.DataFrame({"customer_id": new_now, "after": [NEW] * len(new_now)}))
    both = earlier.join(now, on="customer_id")
    first = both["before"].to_numpy()
    last = both["after"].to_numpy()
    days = (sets.test["cutoff"][0] - rows["cutoff"][0]).days if rows.height else 0
    return Transitions(
        days=days,
        num_customers={name: int((first == name).sum()) for name in STAGES},
        shares=transitions(first, last),
    )


def _attributes(
    customers: pl.Series, data: Path, predicted: np.ndarray, actual: np.ndarray
) -> dict[str, dict[str, AttributeGroup]]:
    """Error and bias by each attribute of the customer table, usable for prediction or not: an audit."""
    table = data / "customers.parquet"
    if not table.exists():
        return {}
    known = pl.DataFrame({"customer_id": customers}).join(
        pl.read_parquet(table), on="customer_id", how="left", maintain_order="left"
    )
    result: dict[str, dict[str, AttributeGroup]] = {}
    for name in known.columns:
        if name in ("customer_id", OWN_RATE):
            continue
        group = _groups(known[name])
        result[name] = {
            value: _compared(predicted[group == value], actual[group == value])
            for value in sorted(set(group))
        }
    return result


def _compared(predicted: np.ndarray, actual: np.ndarray) -> AttributeGroup:
    """Error and bias of some customers."""
    came = float(actual.sum())
    return AttributeGroup(
        num_customers=len(actual),
        mae=float(np.abs(predicted - actual).mean()),
        bias=float(predicted.sum()) / came if came > 0 else None,
    )


def _groups(values: pl.Series) -> np.ndarray:
    """The group of each customer by an attribute, strings (n,): a quarter of numbers, a value or "other" of texts."""
    if values.dtype.is_numeric() and values.n_unique() > MAX_GROUPS:
        edges = np.unique(np.quantile(values.drop_nulls().to_numpy(), [0.25, 0.5, 0.75]))
        names = [f"below {edges[0]:g}", *(f"from {edge:g}" for edge in edges)]
        quarter = np.searchsorted(edges, values.fill_null(0.0).to_numpy(), side="right")
        texts = pl.Series([names[place] for place in quarter]).set(values.is_null(), None)
    else:
        texts = values.cast(pl.String)
        counts = texts.drop_nulls().alias("value").value_counts(name="times")
        shown = counts.sort("times", "value", descending=[True, False]).head(MAX_GROUPS)["value"]
        texts = texts.set(~texts.is_in(shown.implode()).fill_null(True), "other")
    group: np.ndarray = texts.fill_null("unknown").to_numpy().astype(str)
    return group


def _examples(
    customers: pl.Series, assessment: Assessment, why: Callable[[np.ndarray], list[Reasons]]
) -> list[ExampleCustomer]:
    """Customers evenly spread over the order of value, highest first, with the parts of their value and reasons."""
    clv = assessment.values.clv
    order = np.argsort(-clv, kind="stable")
    rows = order[np.unique(np.linspace(0, len(order) - 1, NUM_EXAMPLES).round().astype(int))]
    amounts = money_of(assessment.values) | {"clv": clv}
    return [
        ExampleCustomer.model_validate(
            {
                "customer_id": customers[int(row)],
                **{name: str(label[row]) for name, label in assessment.labels.items()},
                **{name: float(column[row]) for name, column in amounts.items()},
                **reasons,
            }
        )
        for row, reasons in zip(rows, why(rows), strict=True)
    ]


def _reasons(
    artifact: Artifact,
    test: pl.DataFrame,
    predicted: np.ndarray,
    data: Path,
    members: Mapping[str, Path],
) -> list[Reasons]:
    """By which features, and where the champion is or holds encoders by which events, each prediction was moved."""
    by_features = reasons_for(artifact, test, contributions_of(artifact, test))
    if not artifact.members:
        return [{"features": found, "events": []} for found in by_features]
    champion = load_champion(artifact, members)
    is_shown = pl.col("customer_id").is_in(test["customer_id"].implode())
    events = pl.scan_parquet(shard_paths(data)).filter(is_shown).collect()
    told = test.select(KEYS).join(
        read_customers(data), on="customer_id", how="left", maintain_order="left"
    )
    by_events = [
        event_effects(champion, events, told[row], predicted[row])[:NUM_REASONS]
        for row in range(test.height)
    ]
    return [
        {"features": features, "events": moved}
        for features, moved in zip(by_features, by_events, strict=True)
    ]
