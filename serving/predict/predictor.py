"""Answers for customers from an artifact: values and recommendations. Knows neither Ray nor HTTP."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from lifecycle.artifact.answers import (
    examples_for,
    expected_spend,
    labels_for,
    prospect_reasons,
    prospect_values_for,
    reasons_for,
    values_for,
)
from lifecycle.artifact.contents import PROSPECT_MODEL, Artifact
from lifecycle.artifact.files import load_artifact
from lifecycle.artifact.leave_out import event_effects
from lifecycle.events.schema import OWN_RATE
from lifecycle.features.attributes import PREFIX, given
from lifecycle.spend.contributions import Reason
from lifecycle.value.clv import CustomerValues
from serving.predict.queries import JSON, CustomerQuery, RecommendOptions, cutoff_of
from serving.predict.recommendations import recommend

if TYPE_CHECKING:
    from lifecycle.llama.predict import MemberPredictor

__all__ = ["JSON", "CustomerQuery", "Predictor", "RecommendOptions"]
NUMBERS = ("clv", "revenue", "refunds", "goods_cost", "service_cost", "marketing_cost", "discounting",
           "annual_discount_rate", "expected_orders", "expected_order_value", "p_active",
           "churn_probability")  # fmt: skip
DESCRIBED = ("champion", "recommender", "horizon_days", "clv", "currency", "segment_thresholds", "prompt_version",
             "format_version", "base_model", "metrics", "packages", "identity", "costs", "refitted_at")  # fmt: skip


class Predictor:
    """A loaded artifact that answers queries; a batch gives the same answers as its customers one by one."""

    def __init__(self, folder: Path) -> None:
        self.artifact: Artifact = load_artifact(folder)
        self.members = {
            name: _load(member, self.artifact.items)
            for name, member in self.artifact.members.items()
        }
        self.item_ids = set(self.artifact.items["item_id"])

    def describe(self) -> dict[str, JSON]:
        """What is served: models, cutoff, horizon, metrics, versions."""
        told = self.artifact.manifest.model_dump(mode="json")
        return {
            **{name: told[name] for name in DESCRIBED},
            "data_end": self.artifact.settings.data_end,
            "num_items": len(self.item_ids),
        }

    def unknown_items(self, item_ids: Sequence[str]) -> list[str]:
        """Those of the items that the catalogue does not hold."""
        return [item for item in item_ids if item not in self.item_ids]

    def value(self, customers: Sequence[CustomerQuery]) -> list[dict[str, JSON]]:
        """The answer of /v1/value for each customer, in order. ValueError for one without events before `as_of`."""
        if not customers:
            return []
        events, cutoffs = self._with_cutoffs(customers)
        _check_known(events, cutoffs)
        examples = examples_for(self.artifact, events, cutoffs).with_row_index("row")
        has_bought = pl.col("num_orders") > 0
        answers = self._buyers(examples.filter(has_bought), events, customers, cutoffs)
        answers |= self._prospects(examples.filter(~has_bought))
        shared: dict[str, JSON] = {"currency": self.artifact.settings.currency}
        return [
            {
                "customer_id": customer.customer_id,
                **answers[row],
                **shared,
                "as_of": cutoffs["cutoff"][row].isoformat(),
            }
            for row, customer in enumerate(customers)
        ]

    def _buyers(
        self,
        examples: pl.DataFrame,
        events: pl.DataFrame,
        customers: Sequence[CustomerQuery],
        cutoffs: pl.DataFrame,
    ) -> dict[int, dict[str, JSON]]:
        """By row, the part of the answer that the champion gives for customers who have bought."""
        if examples.is_empty():
            return {}
        total = self._total(examples, events)
        by_events = pl.Series([customers[row].explain == "events" for row in examples["row"]])
        by_features = iter(reasons_for(self.artifact, examples.filter(~by_events)))
        explanations = [
            event_effects(
                self.artifact, self._total, events, cutoffs.slice(row, 1), total[position]
            )
            if customers[row].explain == "events"
            else next(by_features)
            for position, row in enumerate(examples["row"])
        ]
        return self._answers(
            examples,
            values_for(self.artifact, examples, total),
            self.artifact.settings.champion,
            explanations,
        )

    def _prospects(self, examples: pl.DataFrame) -> dict[int, dict[str, JSON]]:
        """The same for those who have not."""
        if examples.is_empty():
            return {}
        values = prospect_values_for(self.artifact, examples)
        return self._answers(examples, values, PROSPECT_MODEL, prospect_reasons(examples))

    def _answers(
        self,
        examples: pl.DataFrame,
        values: CustomerValues,
        model: str,
        explanations: Sequence[Sequence[Reason]],
    ) -> dict[int, dict[str, JSON]]:
        labels = labels_for(self.artifact, examples, values)
        return {
            row: {
                **_numbers(values, position),
                "periods": _periods(values, position),
                **{name: str(label[position]) for name, label in labels.items()},
                "explanation": [dict(reason) for reason in explanations[position]],
                "model": model,
            }
            for position, row in enumerate(examples["row"])
        }

    def recommend(
        self, customers: Sequence[CustomerQuery], options: RecommendOptions
    ) -> list[dict[str, JSON]]:
        """The answer of /v1/recommendations for each customer, in order; see `serving.recommending`."""
        return recommend(self.artifact, customers, options)

    def _total(self, examples: pl.DataFrame, events: pl.DataFrame) -> np.ndarray:
        by_members = {name: member(examples, events) for name, member in self.members.items()}
        return expected_spend(self.artifact, self.artifact.settings.champion, examples, by_members)

    def _with_cutoffs(
        self, customers: Sequence[CustomerQuery]
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """All events under the customers' positions as ids, and one cutoff each."""
        ids = [f"{number:09d}" for number in range(len(customers))]
        named = (customer.events.with_columns(pl.lit(name).alias("customer_id"))
                 for name, customer in zip(ids, customers, strict=True))  # fmt: skip
        cutoffs = [cutoff_of(customer, self.artifact.data_end) for customer in customers]
        codes = self.artifact.settings.attributes
        attributes = [
            pl.Series(
                PREFIX + code.name,
                [given(code, customer.attributes.get(code.name)) for customer in customers],
            )
            for code in codes
        ]
        rates = [customer.attributes.get(OWN_RATE) for customer in customers]
        types = {"cutoff": pl.Datetime("us", "UTC"), OWN_RATE: pl.Float64()}
        table = pl.DataFrame(
            {"customer_id": ids, "cutoff": cutoffs, OWN_RATE: rates}, schema_overrides=types
        )
        return pl.concat(named), table.with_columns(*attributes)


def _check_known(events: pl.DataFrame, cutoffs: pl.DataFrame) -> None:
    """ValueError for a customer all of whose events are later; one without any, whom the shop registered, is known."""
    cutoffs = cutoffs.join(events, on="customer_id", how="semi", maintain_order="left")
    known = events.join(cutoffs, on="customer_id").filter(pl.col("occurred_at") < pl.col("cutoff"))
    unknown = cutoffs.join(known, on="customer_id", how="anti", maintain_order="left")
    for name, cutoff in unknown.select("customer_id", "cutoff").iter_rows():
        raise ValueError(f"customers.{int(name)}: no event before {cutoff.isoformat()}")


def _load(member: Path, items: pl.DataFrame) -> "MemberPredictor":
    from lifecycle.llama.predict import (
        load_member,
    )  # imports torch, which the cheap models do without

    return load_member(member, items)


def _numbers(values: CustomerValues, row: int) -> dict[str, JSON]:
    """Amounts, probabilities and the bounds of the value."""
    limits = {
        f"{side}_{round(100 * level)}": float(ends[row])
        for level, both in values.clv_bounds.items()
        for side, ends in zip(("low", "high"), both, strict=True)
    }
    return {**{name: float(getattr(values, name)[row]) for name in NUMBERS}, **limits}


def _periods(values: CustomerValues, row: int) -> list[JSON]:
    columns = (
        values.period_revenue[row],
        values.period_cost[row],
        values.period_discounted[row],
        values.extrapolated,
    )
    return [
        {"t": t, "revenue": float(revenue), "cost": float(cost), "discounted": float(discounted),
         "extrapolated": bool(extrapolated)}
        for t, (revenue, cost, discounted, extrapolated) in enumerate(zip(*columns, strict=True), start=1)
    ]  # fmt: skip
