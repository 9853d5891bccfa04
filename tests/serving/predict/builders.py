"""What tests of recommendations share."""

from dataclasses import replace
from datetime import timedelta

import polars as pl

from lifecycle.artifact.contents import Artifact
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.names import RETRIEVER
from lifecycle.recommend.rankers import BASELINES
from lifecycle.state.answers import Answer
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from tests.serving.builders import TEST_CUTOFF, events_of

DECAYED = "decayed_frequency"
RANKERS = (*BASELINES, RETRIEVER, DECAYED)
NOBODY = CustomerQuery(None, pl.DataFrame(schema=EVENT_SCHEMA), {})


def served_by(artifact: Artifact, name: str) -> Artifact:
    settings = replace(artifact.settings, recommender=name, recommender_by_group={})
    return replace(artifact, settings=settings)


def buyer(*items: str, num_orders: int = 1) -> CustomerQuery:
    """Somebody who bought these items in each order."""
    lines = [
        {
            "occurred_at": TEST_CUTOFF - timedelta(days=3 * order + 1),
            "order_id": f"o{order}",
            "item_id": item,
        }
        for order in range(num_orders)
        for item in items
    ]
    return CustomerQuery("x", events_of(*lines), {}, as_of=TEST_CUTOFF)


def asked(artifact: Artifact, customer: CustomerQuery, **options: object) -> Answer:
    (answer,) = recommend(artifact, [customer], RecommendOptions(**options))
    return answer


def items_in(answer: Answer) -> list[str]:
    return [row["item_id"] for row in answer["recommendations"]]
