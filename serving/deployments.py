"""What runs in Serve: two deployments that compute, each with its own predictor, and the gateway in front of them."""

import asyncio
import logging
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

import ray
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from lifecycle.events.schema import MAX_LEFT_OUT
from lifecycle.folders import MANIFEST, file_sha256
from lifecycle.log.database import Log, shown_url
from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.opening import open_log
from lifecycle.log.services import register, this_process
from lifecycle.recommend.groups import RICH_ORDERS, THIN_ORDERS
from lifecycle.state.files import read_state_manifest
from serving.api.admission import ApiSettings
from serving.api.application import create_api, with_hot_route
from serving.handles import Reply, ServeBackend, Served
from serving.keys import KeyRing
from serving.predict.problems import InvalidRequest
from serving.predict.queries import CustomerQuery, RecommendOptions, buyer, newcomer
from serving.store.events import EventStore
from serving.store.known import KnownCustomers
from serving.store.since import SinceData

if TYPE_CHECKING:  # scipy and LightGBM come with it; the gateway needs neither
    from lifecycle.artifact.contents import Artifact
    from serving.predict.predictor import Predictor

logger = logging.getLogger(__name__)
BATCH_WEIGHTS = {"features": 1, "events": 1 + MAX_LEFT_OUT}  # of a customer, by what explains it


@dataclass(frozen=True)
class ArtifactSource:
    """Where the artifact lies and the SHA-256 of its manifest when the service was built."""

    folder: str
    manifest_sha256: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The artifact as it is now."""
        return cls(str(folder), file_sha256(folder / MANIFEST))

    def path(self) -> Path:
        """The folder; ValueError where another has taken its place."""
        folder = Path(self.folder)
        if file_sha256(folder / MANIFEST) != self.manifest_sha256:
            raise ValueError(
                f"artifact {folder} has changed since the service was built; give a new one a new path"
            )
        return folder


@dataclass(frozen=True)
class StateSource:
    """Where customer state lies and its identity when the service was built."""

    folder: str
    identity: str

    def customers(self, since: SinceData | None) -> KnownCustomers | None:
        """Who has state; nobody where it is no longer there, or another: then all customers are computed."""
        folder = Path(self.folder)
        try:
            found = KnownCustomers(folder, since)
            if read_state_manifest(folder).identity == self.identity:
                return found
            told = f"state {folder} is another than the service was built with"
        except ValueError as error:
            told = str(error)
        logger.warning("%s; all customers are computed", told)
        return None


@dataclass(frozen=True)
class LogSource:
    """Where the log is and which it was when the service was built."""

    url: str
    identity: str
    key: Path | None = None  # of erasures

    def open(self) -> Log:
        """The log, to be written by this process; ValueError where it is another, or another service's."""
        log = open_log(self.url, self.key)
        if log.identity != self.identity:
            raise ValueError(
                f"log {shown_url(self.url)} is another than the service was built with; SQLite is for one host"
            )
        register(log, this_process(service_name()))
        return log


def service_name() -> str:
    """What tells this application of this cluster from others, also after it was deployed again."""
    application = serve.get_replica_context().app_name
    return f"{ray.get_runtime_context().gcs_address}/{application}"


def num_customers(requests: list[list[CustomerQuery]]) -> int:
    """Size of a batch: who is explained by events counts as often as it is predicted.

    A request alone counts as one: however large, it is answered in one batch of its own.
    """
    if len(requests) == 1:
        return 1
    return sum(BATCH_WEIGHTS[customer.explain] for customer in chain.from_iterable(requests))


class ValueModel:
    """Values customers; requests that wait at the same time are computed as one batch.

    Serve sends requests to a replica that has answered a question itself, and so is warm.
    """

    def __init__(
        self, source: ArtifactSource, max_batch_customers: int, batch_wait_seconds: float
    ) -> None:
        from serving.predict.predictor import Predictor

        self.predictor = Predictor(source.path())
        self.predictor.value([newcomer(self.predictor.artifact.data_end)])
        self.answer.set_max_batch_size(max_batch_customers)
        self.answer.set_batch_wait_timeout_s(batch_wait_seconds)

    @serve.batch(batch_size_fn=num_customers)  # type: ignore[untyped-decorator]
    async def answer(self, requests: list[list[CustomerQuery]]) -> list[Reply]:
        """One reply per request. The computation runs in a thread, so that health checks are answered meanwhile."""
        return await asyncio.to_thread(answer_requests, self.predictor, requests)


class Recommender:
    """Recommends items; one request at a time, since one alone keeps its core busy. As warm as a ValueModel."""

    def __init__(self, source: ArtifactSource) -> None:
        from serving.predict.predictor import Predictor

        self.predictor = Predictor(source.path())
        recommend(self.predictor, one_of_each_group(self.predictor.artifact), RecommendOptions())
        self.turn = asyncio.Semaphore(1)

    async def answer(self, customers: list[CustomerQuery], options: RecommendOptions) -> Reply:
        """Recommendations for each customer, or which options the artifact cannot serve."""
        async with self.turn:
            return await asyncio.to_thread(recommend, self.predictor, customers, options)

    async def similar(self, item_id: str, options: RecommendOptions) -> Reply:
        """Items like one item; no answer for one that the catalogue has not."""
        async with self.turn:
            return await asyncio.to_thread(similar, self.predictor, item_id, options)


def one_of_each_group(artifact: "Artifact") -> list[CustomerQuery]:
    """Customers who are answered by every ranker that serves: who has answered them is warm."""
    item = next(iter(artifact.items["item_id"]), None)
    return [
        buyer(artifact.data_end, item, num_orders)
        for num_orders in (0, 1, THIN_ORDERS, RICH_ORDERS)
    ]


class Gateway:
    """The only deployment that faces HTTP: keys, limits, sizes, events; it computes nothing."""

    def __init__(
        self,
        settings: ApiSettings,
        keys: str,
        events: str,
        value: DeploymentHandle,
        recommender: DeploymentHandle,
        served: Served,
        source: LogSource | None = None,
        state: StateSource | None = None,
    ) -> None:
        self.settings = settings
        self.keys = KeyRing(Path(keys))
        log = None if source is None else source.open()
        self.store = EventStore(Path(events), log)
        self.known = None if state is None else state.customers(self.store.since)
        self.backend = ServeBackend(value, recommender, served)
        self.log = None if log is None else GroupCommit(log)

    def __serve_build_asgi_app__(self) -> ASGIApp:
        api = create_api(self.settings, self.keys, self.store, self.backend, self.log, self.known)
        return with_hot_route(api, self.settings, self.keys, self.known)


def answer_requests(predictor: "Predictor", requests: list[list[CustomerQuery]]) -> list[Reply]:
    """Value all requests at once and hand each its part; a bad customer spoils its own request alone."""
    problems = [predictor.problems(customers) for customers in requests]
    sound = [customers for customers, found in zip(requests, problems, strict=True) if not found]
    answers = iter(predictor.value(list(chain.from_iterable(sound))))
    return [
        Reply([], found) if found else Reply(list(islice(answers, len(customers))))
        for customers, found in zip(requests, problems, strict=True)
    ]


def recommend(
    predictor: "Predictor", customers: list[CustomerQuery], options: RecommendOptions
) -> Reply:
    """Recommendations, or what of the options this artifact cannot serve."""
    try:
        return Reply(predictor.recommend(customers, options))
    except InvalidRequest as error:
        return Reply([], error.problems)


def similar(predictor: "Predictor", item_id: str, options: RecommendOptions) -> Reply:
    """One answer, none for an unknown item, or what of the options this artifact cannot serve."""
    try:
        answer = predictor.similar(item_id, options)
        return Reply([] if answer is None else [answer])
    except InvalidRequest as error:
        return Reply([], error.problems)
