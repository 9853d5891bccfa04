"""Answers for customers from an artifact: values and recommendations. Knows neither Ray nor HTTP."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import polars as pl

from lifecycle.artifact.answers import (
    examples_for,
    prospect_reasons,
    reasons_for,
)
from lifecycle.artifact.assessment import Assessment, assess_buyers, assess_prospects
from lifecycle.artifact.champion import load_champion
from lifecycle.artifact.contents import Artifact
from lifecycle.artifact.files import load_artifact
from lifecycle.artifact.leave_out import event_effects
from lifecycle.artifact.value_answer import value_answers
from lifecycle.events.schema import OWN_RATE, with_shop_days
from lifecycle.features.attributes import PREFIX, given
from lifecycle.spend.contributions import Reason
from lifecycle.state.answers import Answer
from serving.predict.description import describe
from serving.predict.problems import InvalidRequest, Problem
from serving.predict.queries import (
    CustomerQuery,
    RecommendOptions,
    cutoff_of,
    events_of,
    names_of,
    unknown_at_cutoff,
)
from serving.predict.recommendations import recommend
from serving.predict.similar import similar_items
from serving.predict.titles import TitleReader, load_title_reader

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Predictor:
    """A loaded artifact that answers queries; a batch gives the same answers as its customers one by one."""

    def __init__(self, folder: Path) -> None:
        artifact = load_artifact(folder)
        self.champion = load_champion(artifact, artifact.members)

    @property
    def artifact(self) -> Artifact:
        """What answers."""
        return self.champion.artifact

    def describe(self) -> Answer:
        """What is served; see serving.predict.description."""
        return describe(self.artifact)

    def problems(self, customers: Sequence[CustomerQuery]) -> list[Problem]:
        """Which customers cannot be valued."""
        return unknown_at_cutoff(customers, self.artifact.data_end)

    def value(self, customers: Sequence[CustomerQuery]) -> list[Answer]:
        """The answer of /v1/value for each customer, in order.

        InvalidRequest names the customers without events before `as_of`.
        """
        problems = self.problems(customers)
        if problems:
            raise InvalidRequest(problems)
        if not customers:
            return []
        events, cutoffs = self.with_cutoffs(customers)
        events = with_shop_days(events, self.artifact.settings.timezone)
        examples = examples_for(self.artifact, events, cutoffs).with_row_index("row")
        has_bought = examples["num_orders"].to_numpy() > 0
        answers: dict[int, Answer] = {}
        if has_bought.any():
            answers |= self._buyers(examples.filter(has_bought), events, customers, cutoffs)
        if not has_bought.all():
            answers |= self._prospects(examples.filter(~has_bought))
        return [
            answers[row] | {"customer_id": customer.customer_id}
            for row, customer in enumerate(customers)
        ]

    def recommend(
        self, customers: Sequence[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]:
        """The answer of /v1/recommendations for each customer, in order; see serving.predict.recommendations."""
        return recommend(self.artifact, customers, options, self._title_reader)

    @cached_property
    def _title_reader(self) -> TitleReader | None:
        """Loaded by who recommends alone."""
        return load_title_reader(self.artifact)

    def similar(self, item_id: str, options: RecommendOptions) -> Answer | None:
        """The answer of /v1/items/{id}/similar; None for an item that the catalogue has not."""
        return similar_items(self.artifact, item_id, options)

    def _buyers(
        self,
        examples: pl.DataFrame,
        events: pl.DataFrame,
        customers: Sequence[CustomerQuery],
        cutoffs: pl.DataFrame,
    ) -> dict[int, Answer]:
        """By row, the answer that the champion gives for customers who have bought."""
        total, found = self.champion.explained_spend(examples, events)
        explanations = reasons_for(self.artifact, examples, found)
        for position, row in enumerate(examples["row"]):
            if customers[row].explain == "events":
                told = event_effects(self.champion, events, cutoffs.slice(row, 1), total[position])
                explanations[position] = told
        assessment = assess_buyers(self.artifact, examples, total, found)
        return self._by_row(examples, assessment, explanations)

    def _prospects(self, examples: pl.DataFrame) -> dict[int, Answer]:
        """The same for those who have not."""
        assessment = assess_prospects(self.artifact, examples)
        return self._by_row(examples, assessment, prospect_reasons(examples))

    def _by_row(
        self,
        examples: pl.DataFrame,
        assessment: Assessment,
        explanations: Sequence[Sequence[Reason]],
    ) -> dict[int, Answer]:
        answers = value_answers(examples, assessment, explanations, self.artifact.settings.currency)
        return dict(zip(examples["row"], answers, strict=True))

    def with_cutoffs(self, customers: Sequence[CustomerQuery]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """All events under `names_of` the customers, and one cutoff each."""
        cutoffs = [cutoff_of(customer, self.artifact.data_end) for customer in customers]
        rates = [customer.attributes.get(OWN_RATE) for customer in customers]
        # From datetimes polars makes a column by a query, which takes ten times as long for one customer.
        instants = [(cutoff - EPOCH) // timedelta(microseconds=1) for cutoff in cutoffs]
        table = pl.DataFrame(
            {
                "customer_id": names_of(customers),
                "cutoff": pl.Series(instants, dtype=pl.Int64).cast(pl.Datetime("us", "UTC")),
                OWN_RATE: pl.Series(rates, dtype=pl.Float64),
            }
        )
        return events_of(customers), table.hstack(self._attributes(customers))

    def _attributes(self, customers: Sequence[CustomerQuery]) -> list[pl.Series]:
        """A column (n,) for each attribute that the artifact knows."""
        columns = []
        for code in self.artifact.settings.attributes:
            values = [given(code, customer.attributes.get(code.name)) for customer in customers]
            columns.append(pl.Series(PREFIX + code.name, values))
        return columns
