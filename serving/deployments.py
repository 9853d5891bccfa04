"""What runs in Serve: two deployments that compute, each with its own predictor, and the gateway in front of them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fastapi import FastAPI
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from lifecycle.events.schema import MAX_LEFT_OUT
from lifecycle.folders import MANIFEST, file_sha256
from serving.api.application import create_api
from serving.api.backend import Answer, ApiSettings
from serving.api.errors import Busy, Unavailable
from serving.api.requests import InvalidRequest
from serving.keys import KeyRing
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.store.events import EventStore

if TYPE_CHECKING:  # scipy and LightGBM come with it; the gateway needs neither
    from serving.predict.predictor import Predictor

T = TypeVar("T")
NUM_ATTEMPTS = 3  # predictions change nothing, so a call that died with its replica is made again


@dataclass(frozen=True)
class Outcome:
    """Answers in the order of the customers, or problems as (field, message). Errors travel as
    values: Serve logs what a replica raises, and a message may quote a customer."""

    answers: list[Answer]
    problems: list[tuple[str, str]]


@dataclass(frozen=True)
class ArtifactSource:
    """Where the artifact lies and the SHA-256 of its manifest when the service was built."""

    folder: str
    manifest_sha256: str

    def path(self) -> Path:
        """The folder; ValueError where another artifact has taken its place."""
        folder = Path(self.folder)
        if file_sha256(folder / MANIFEST) != self.manifest_sha256:
            raise ValueError(
                f"artifact {folder} has changed since the service was built; give a new one a new path"
            )
        return folder


def num_customers(requests: list[list[CustomerQuery]]) -> int:
    """Size of a batch: who is explained by events counts as often as it is predicted.

    A request alone counts as one: however large, it is answered in one batch of its own.
    """
    weights = {"features": 1, "events": 1 + MAX_LEFT_OUT}
    return (
        1
        if len(requests) == 1
        else sum(weights[one.explain] for customers in requests for one in customers)
    )


class ValueModel:
    """Values customers; requests that wait at the same time are computed as one batch."""

    def __init__(
        self, source: ArtifactSource, max_batch_customers: int, batch_wait_seconds: float
    ) -> None:
        from serving.predict.predictor import Predictor

        self.predictor = Predictor(source.path())
        self.answer.set_max_batch_size(max_batch_customers)
        self.answer.set_batch_wait_timeout_s(batch_wait_seconds)

    @serve.batch(batch_size_fn=num_customers)  # type: ignore[untyped-decorator]
    async def answer(self, requests: list[list[CustomerQuery]]) -> list[Outcome]:
        """One outcome per request. The computation runs in a thread, so that health checks are answered meanwhile."""
        return await asyncio.to_thread(answer_requests, self.predictor.value, requests)

    async def describe(self) -> Answer:
        """What the artifact holds."""
        return self.predictor.describe()


class Recommender:
    """Recommends items; one request at a time, since one alone keeps its core busy."""

    def __init__(self, source: ArtifactSource) -> None:
        from serving.predict.predictor import Predictor

        self.predictor = Predictor(source.path())
        self.turn = asyncio.Semaphore(1)

    async def answer(self, customers: list[CustomerQuery], options: RecommendOptions) -> Outcome:
        """Recommendations for each customer, or which candidates the catalogue does not know."""
        async with self.turn:
            return await asyncio.to_thread(self._answer, customers, options)

    async def describe(self) -> Answer:
        """What the artifact holds."""
        return self.predictor.describe()

    def _answer(self, customers: list[CustomerQuery], options: RecommendOptions) -> Outcome:
        problems = option_problems(self.predictor, options)
        if problems:
            return Outcome([], problems)
        return answer_requests(
            lambda queries: self.predictor.recommend(queries, options), [customers]
        )[0]


class ServeBackend:
    """Calls the two deployments by handle."""

    def __init__(self, value: DeploymentHandle, recommender: DeploymentHandle) -> None:
        self.value_model, self.recommender = value, recommender

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]:
        """See Backend."""
        return _answers(await _call(self.value_model.answer, customers))

    async def recommend(
        self, customers: list[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]:
        """See Backend."""
        return _answers(await _call(self.recommender.answer, customers, options))

    async def describe(self) -> Answer:
        """See Backend; answers once both deployments have loaded the artifact."""
        await _call(self.recommender.describe)
        description: Answer = await _call(self.value_model.describe)
        return description


class Gateway:
    """The only deployment that faces HTTP: keys, limits, sizes, events; it computes nothing."""

    def __init__(
        self,
        settings: ApiSettings,
        keys: str,
        events: str,
        value: DeploymentHandle,
        recommender: DeploymentHandle,
    ) -> None:
        self.settings = settings
        self.keys = KeyRing(Path(keys))
        self.store = EventStore(Path(events))
        self.backend = ServeBackend(value, recommender)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_api(self.settings, self.keys, self.store, self.backend)


def option_problems(predictor: "Predictor", options: RecommendOptions) -> list[tuple[str, str]]:
    """What of a request's options this artifact cannot serve, as (field, message)."""
    for field, items in (("candidates", options.candidates or ()), ("exclude", options.exclude)):
        unknown = set(predictor.unknown_items(items))
        if unknown:
            message = "is not an item of the catalogue"
            return [
                (f"{field}.{position}", message)
                for position, item in enumerate(items)
                if item in unknown
            ]
    try:
        predictor.recommend([], options)
    except ValueError as error:
        field, _, message = str(error).partition(": ")
        return [(field, message)]
    return []


def answer_requests(
    compute: Callable[[Sequence[CustomerQuery]], list[Answer]], requests: list[list[CustomerQuery]]
) -> list[Outcome]:
    """Compute all requests at once and hand each its part; a bad customer spoils its own request alone."""
    results = answer_each(compute, [query for customers in requests for query in customers])
    outcomes, position = [], 0
    for customers in requests:
        own = results[position : position + len(customers)]
        position += len(customers)
        problems = [
            (f"customers.{number}", result)
            for number, result in enumerate(own)
            if isinstance(result, str)
        ]
        outcomes.append(
            Outcome(
                [] if problems else [answer for answer in own if not isinstance(answer, str)],
                problems,
            )
        )
    return outcomes


def answer_each(
    compute: Callable[[Sequence[CustomerQuery]], list[Answer]], queries: list[CustomerQuery]
) -> list[Answer | str]:
    """The answer for each customer, or the message of the ValueError it causes, found by halving."""
    try:
        return list(compute(queries))
    except ValueError as error:
        if len(queries) == 1:
            return [str(error).removeprefix("customers.0: ")]
    middle = len(queries) // 2
    return answer_each(compute, queries[:middle]) + answer_each(compute, queries[middle:])


async def _call(method: DeploymentHandle, *arguments: object) -> T:
    for _ in range(NUM_ATTEMPTS):
        try:
            result: T = await method.remote(*arguments)
            return result
        except RayActorError:
            continue
        except BackPressureError:
            raise Busy from None
        except DeploymentUnavailableError:
            break
    raise Unavailable


def _answers(outcome: Outcome) -> list[Answer]:
    if outcome.problems:
        raise InvalidRequest(outcome.problems)
    return outcome.answers
