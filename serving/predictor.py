"""Answers for customers from an artifact: values and recommendations. Knows neither Ray nor HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from lifecycle.artifact import (
    LLAMA,
    Artifact,
    cheap_value,
    examples_for,
    labels_for,
    load_artifact,
    values_for,
)
from lifecycle.events import REVENUE_KINDS
from lifecycle.features import FEATURES
from lifecycle.recommend.baselines import personal_frequency, popularity
from lifecycle.recommend.groups import customer_group
from lifecycle.recommend.prompts import item_text
from lifecycle.value.baselines import feature_matrix
from lifecycle.value.clv import CustomerValues

NUM_REASONS = 3

JSON = str | int | float | bool | None | Sequence["JSON"] | dict[str, "JSON"]


@dataclass(frozen=True)
class CustomerQuery:
    """One customer of a request; `events` has the columns of EVENT_SCHEMA and may hold later events than `as_of`."""

    customer_id: str | None
    events: pl.DataFrame
    attributes: dict[str, str | float | int | bool | None]
    as_of: datetime | None = None  # UTC; None: the later of the data's end and the customer's last event


@dataclass(frozen=True)
class RecommendOptions:
    """What may be recommended, and how many."""

    k: int = 10
    candidates: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    category: str | None = None
    query: str | None = None
    min_price: float | None = None
    max_price: float | None = None
    in_stock: bool | None = None
    objective: str = "probability"


class Predictor:
    """A loaded artifact that answers queries; a batch gives the same answers as its customers one by one."""

    def __init__(self, folder: Path) -> None:
        self.artifact: Artifact = load_artifact(folder)
        self.llama = self._load_llama() if self.artifact.settings.champion == LLAMA else None
        self.catalogue = {row["item_id"]: row for row in self.artifact.items.iter_rows(named=True)}

    def _load_llama(self):  # type: ignore[no-untyped-def]  # the class lives in a module that imports torch
        from lifecycle.member import read_member
        from lifecycle.predict import load_value_predictor

        manifest = read_member(self.artifact.member)
        base = manifest["base_model"]
        assert isinstance(base, dict)
        return load_value_predictor(
            self.artifact.member, base["path"], str(manifest["attention"]), int(str(manifest["max_tokens"]))
        )

    def describe(self) -> dict[str, JSON]:
        """What is served: models, cutoff, horizon, metrics, versions."""
        shown = ("champion", "recommender", "horizon_days", "clv", "currency", "segment_thresholds", "prompt_version",
                 "format_version", "base_model", "metrics", "packages", "identity")  # fmt: skip
        manifest = self.artifact.manifest
        described = {name: manifest[name] for name in shown}
        return {**described, "data_end": self.artifact.settings.data_end, "num_items": len(self.catalogue)}  # type: ignore[dict-item]

    def unknown_items(self, item_ids: Sequence[str]) -> list[str]:
        """Those of the items that the catalogue does not hold."""
        return [item for item in item_ids if item not in self.catalogue]

    def value(self, customers: Sequence[CustomerQuery]) -> list[dict[str, JSON]]:
        """The answer of /v1/value for each customer, in order. ValueError for one without purchases before `as_of`."""
        events, cutoffs = self._with_cutoffs(customers)
        examples = examples_for(self.artifact, events, cutoffs)
        for number, orders in enumerate(examples["num_orders"]):
            if not orders:
                raise ValueError(f"customers.{number}: no purchase before {cutoffs['cutoff'][number].isoformat()}")
        total = self._total(examples)
        values = values_for(self.artifact, examples, total)
        labels = labels_for(self.artifact, examples, values)
        explanations = self._explanations(examples)
        return [
            self._answer(row, values, labels, explanations[row], cutoffs["cutoff"][row], customers[row].customer_id)
            for row in range(examples.height)
        ]

    def _total(self, examples: pl.DataFrame) -> np.ndarray:
        if self.llama is not None:
            return self.llama.expected_spend(examples["prompt"].to_list())  # type: ignore[no-any-return]
        return cheap_value(self.artifact, self.artifact.settings.champion, examples)

    def _with_cutoffs(self, customers: Sequence[CustomerQuery]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """All events under the customers' positions as ids, and one cutoff each."""
        frames, cutoffs = [], []
        for number, customer in enumerate(customers):
            frames.append(customer.events.with_columns(pl.lit(f"{number:09d}").alias("customer_id")))
            cutoffs.append(self._as_of(customer))
        ids = [f"{number:09d}" for number in range(len(customers))]
        table = pl.DataFrame({"customer_id": ids, "cutoff": cutoffs}).cast({"cutoff": pl.Datetime("us", "UTC")})
        return pl.concat(frames), table

    def _as_of(self, customer: CustomerQuery) -> datetime:
        if customer.as_of is not None:
            return customer.as_of
        last = customer.events["occurred_at"].max()
        end = self.artifact.data_end
        latest = max(end, last) if isinstance(last, datetime) else end
        # A cutoff excludes its own instant: one microsecond later, the last event counts.
        return latest + pl.Series([1]).cast(pl.Duration("us")).to_list()[0]  # type: ignore[no-any-return]

    def _explanations(self, examples: pl.DataFrame) -> list[list[dict[str, JSON]]]:
        """The features that moved each prediction most; without trees, the customer's main facts."""
        if self.artifact.settings.champion != "lightgbm" or self.artifact.lightgbm is None:
            facts = ("recency_days", "num_orders", "spend_last_horizon")
            return [[{"feature": name, "value": row[name], "effect": None} for name in facts]
                    for row in examples.select(facts).iter_rows(named=True)]  # fmt: skip
        matrix = feature_matrix(examples)
        effects = np.asarray(self.artifact.lightgbm.predict(matrix, pred_contrib=True, num_threads=1))[:, :-1]
        result = []
        for row, contributions in enumerate(effects):
            top = np.argsort(-np.abs(contributions), kind="stable")[:NUM_REASONS]
            result.append([
                {"feature": FEATURES[index],
                 "value": None if np.isnan(matrix[row, index]) else float(matrix[row, index]),
                 "effect": float(np.expm1(contributions[index]))}  # share by which it moves the prediction
                for index in top
            ])  # fmt: skip
        return result

    def _answer(
        self,
        row: int,
        values: CustomerValues,
        labels: dict[str, np.ndarray],
        explanation: list[dict[str, JSON]],
        as_of: datetime,
        customer_id: str | None,
    ) -> dict[str, JSON]:
        numbers = ("clv", "revenue", "refunds", "service_cost", "marketing_cost", "expected_orders",
                   "expected_order_value", "p_active", "churn_probability")  # fmt: skip
        periods: list[JSON] = [
            {
                "t": t + 1,
                "revenue": float(values.period_revenue[row, t]),
                "cost": float(values.period_cost[row, t]),
                "discounted": float(values.period_discounted[row, t]),
                "extrapolated": bool(values.extrapolated[t]),
            }
            for t in range(values.period_revenue.shape[1])
        ]
        limits = {
            f"{side}_{round(100 * level)}": float(values.clv_bounds[level][index][row])
            for level in values.clv_bounds
            for index, side in enumerate(("low", "high"))
        }
        return {
            "customer_id": customer_id,
            **{name: float(getattr(values, name)[row]) for name in numbers},
            **limits,
            "annual_discount_rate": self.artifact.settings.clv.annual_discount_rate,
            "periods": periods,
            **{name: str(label[row]) for name, label in labels.items()},
            "explanation": explanation,
            "model": self.artifact.settings.champion,
            "currency": self.artifact.settings.currency,
            "as_of": as_of.isoformat(),
        }

    def recommend(self, customers: Sequence[CustomerQuery], options: RecommendOptions) -> list[dict[str, JSON]]:
        """The answer of /v1/recommendations for each customer, in order; customers without history get popular items.

        Raises ValueError for candidates outside the catalogue or an option this artifact cannot serve.
        """
        allowed = self._allowed(options)
        return [self._recommend_one(customer, options, allowed) for customer in customers]

    def _allowed(self, options: RecommendOptions) -> set[str] | None:
        """Items that the filters let through; None where there is no filter."""
        unknown = self.unknown_items([*(options.candidates or ()), *options.exclude])
        if unknown:
            raise ValueError(f"items unknown to the catalogue: {unknown[:5]}")
        if options.in_stock is not None and "in_stock" not in self.artifact.items.columns:
            raise ValueError("in_stock: the item catalogue has no column in_stock")
        if options.objective == "margin" and "margin" not in self.artifact.items.columns:
            raise ValueError("objective: the item catalogue has no column margin")
        conditions = []
        if options.category is not None:
            conditions.append(pl.col("category").str.to_lowercase() == options.category.lower())
        if options.query is not None:
            words = [
                pl.col("title").str.to_lowercase().str.contains(w, literal=True) for w in options.query.lower().split()
            ]
            conditions.extend(words)
        if options.min_price is not None:
            conditions.append(pl.col("price") >= options.min_price)
        if options.max_price is not None:
            conditions.append(pl.col("price") <= options.max_price)
        if options.in_stock is not None:
            conditions.append(
                pl.col("in_stock").cast(pl.String).is_in(["true", "1", "yes", "True"]) == options.in_stock
            )
        if not conditions and options.candidates is None and not options.exclude:
            return None
        ids = set(self.artifact.items.filter(conditions)["item_id"] if conditions else self.catalogue)
        if options.candidates is not None:
            ids &= set(options.candidates)
        return ids - set(options.exclude)

    def _recommend_one(
        self, customer: CustomerQuery, options: RecommendOptions, allowed: set[str] | None
    ) -> dict[str, JSON]:
        as_of = self._as_of(customer)
        customer_id = customer.customer_id or "anonymous"
        bought = customer.events.filter(
            pl.col("kind").is_in(REVENUE_KINDS)
            & pl.col("item_id").is_in(list(self.catalogue))
            & (pl.col("occurred_at") < as_of)
        ).with_columns(pl.lit(customer_id).alias("customer_id"))
        ranked = self._ranked(bought, customer_id, as_of, allowed)
        if options.objective == "margin":
            ranked = sorted(ranked, key=lambda pair: -pair[1] * float(self.catalogue[pair[0]].get("margin") or 0.0))
        counts = dict(bought["item_id"].value_counts().iter_rows())
        answer: list[JSON] = [
            {
                "item_id": item,
                "title": item_text(self.catalogue[item]["title"], self.catalogue[item]["category"]),
                "score": score,
                "reason": f"bought {counts[item]} times before" if item in counts else "popular with other customers",
            }
            for item, score in ranked[: options.k]
        ]
        orders = bought.select(pl.col("occurred_at").dt.date().n_unique()).item()
        return {
            "customer_id": customer.customer_id,
            "recommendations": answer,
            "model": self.artifact.settings.recommender,
            "group": customer_group(orders),
            "as_of": as_of.isoformat(),
        }

    def _ranked(
        self, bought: pl.DataFrame, customer_id: str, as_of: datetime, allowed: set[str] | None
    ) -> list[tuple[str, float]]:
        """(item_id, score), best first, over the full catalogue or the allowed items."""
        settings, retriever = self.artifact.settings, self.artifact.retriever
        popular = retriever.popular if allowed is None else retriever.popular.filter(
            pl.col("item_id").is_in(list(allowed))
        )  # fmt: skip
        rank = personal_frequency if settings.recommender == "personal_frequency" else popularity
        own = bought if allowed is None else bought.filter(pl.col("item_id").is_in(list(allowed)))
        ranking = rank(own, popular, pl.Series([customer_id]), cutoff=as_of, k=200, exclude_seen=settings.exclude_seen)
        return list(ranking.select("item_id", "score").iter_rows())
