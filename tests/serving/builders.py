"""What tests of serving share: events, predictors with another champion, a backend in this process, requests."""

import asyncio
import copy
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
from fastapi.testclient import TestClient
from httpx import Response

from lifecycle.artifact.champion import Champion
from lifecycle.events.schema import EVENT_SCHEMA
from lifecycle.spend.models import SpendModels
from lifecycle.state.answers import Answer
from serving.api.admission import ApiSettings
from serving.api.fields import Limits
from serving.deployments import Reply, answer_requests, recommend, similar
from serving.predict.predictor import Predictor
from serving.predict.problems import InvalidRequest
from serving.predict.queries import CustomerQuery, RecommendOptions

TEST_CUTOFF = datetime(2024, 10, 30, tzinfo=UTC)
SETTINGS = ApiSettings(
    Limits(max_customers=20, max_events=50), 100_000, max_in_flight=2, timeout_seconds=5.0
)
KNOWN = {"customers": [{"customer_id": "c1"}]}
PURCHASE = {
    "occurred_at": "2024-11-01",
    "kind": "purchase",
    "amount": 12.5,
    "item_id": "i1",
    "quantity": 1,
}


def events_of(*rows: dict[str, object]) -> pl.DataFrame:
    defaults = {"event_id": "e", "customer_id": "x", "kind": "purchase", "amount": 10.0}
    return pl.DataFrame([defaults | row for row in rows], schema=EVENT_SCHEMA)


def with_champion(predictor: Predictor, name: str) -> Predictor:
    """The same artifact, had the arena chosen another champion."""
    artifact = predictor.artifact
    settings = replace(artifact.settings, champion=name)
    models = SpendModels.load(artifact.folder, settings.horizon_days, name)
    other = copy.copy(predictor)
    other.champion = Champion(replace(artifact, settings=settings, models=models), {})
    return other


def items_of(predictor: Predictor, customer: CustomerQuery, **options: object) -> list[str]:
    (answer,) = predictor.recommend([customer], RecommendOptions(**options))
    return [row["item_id"] for row in answer["recommendations"]]


class InProcess:
    """A Backend that computes in this process, or does not compute at all."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.failure: Exception | None = None
        self.seconds = 0.0

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]:
        await self._wait()
        [reply] = answer_requests(self.predictor, [customers])
        return answers_of(reply)

    async def recommend(
        self, customers: list[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]:
        await self._wait()
        return answers_of(recommend(self.predictor, customers, options))

    async def similar(self, item_id: str, options: RecommendOptions) -> Answer | None:
        await self._wait()
        return next(iter(answers_of(similar(self.predictor, item_id, options))), None)

    async def describe(self) -> Answer:
        await self._wait()
        return self.predictor.describe()

    async def _wait(self) -> None:
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(self.seconds)


def answers_of(reply: Reply) -> list[Answer]:
    if reply.problems:
        raise InvalidRequest(reply.problems)
    return list(reply.answers)


def wait_until_ready(client: TestClient) -> None:
    for _ in range(100):
        if client.get("/healthz").status_code == 200:
            return
        client.portal.call(asyncio.sleep, 0.02)  # type: ignore[union-attr]
    raise AssertionError("not ready")


def fields(response: Response) -> list[str]:
    assert response.status_code == 422, response.text
    return [problem["field"] for problem in response.json()["detail"]]


def post(client: TestClient, body: object, path: str = "/v1/value") -> Response:
    response: Response = client.post(path, json=body)
    return response
