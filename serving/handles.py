"""The models by the handles of Serve: calls that outlive a replica, and when a service is ready."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ray.exceptions import RayActorError
from ray.experimental.internal_kv import _internal_kv_exists, _internal_kv_put
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from lifecycle.state.answers import Answer
from serving.api.errors import Busy, Unavailable
from serving.predict.problems import InvalidRequest, Problem
from serving.predict.queries import CustomerQuery, RecommendOptions, newcomer

NUM_ATTEMPTS = 3  # predictions change nothing, so a call that died with its replica is made again
MEMORY = "evervalue"  # namespace of what the cluster remembers


@dataclass(frozen=True)
class Reply:
    """Answers in the order of the customers, or why there are none.

    Problems travel as values: Serve logs what a replica raises, and a message may quote a customer.
    """

    answers: Sequence[Answer]
    problems: Sequence[Problem] = ()


@dataclass(frozen=True)
class Served:
    """What a service serves, as the builder found it, and which time it was built.

    The cluster remembers whether the models have answered since. A gateway that starts later than
    that is ready at once: it needs nobody who happens to start again at the same moment.
    """

    description: Answer
    data_end: datetime
    build: str

    def has_answered(self) -> bool:
        """Whether some gateway had answers of all models."""
        found: bool = _internal_kv_exists(self.build, namespace=MEMORY)
        return found

    def remember(self) -> None:
        """For all gateways to come."""
        _internal_kv_put(self.build, "answered", namespace=MEMORY)


class ServeBackend:
    """Calls the two deployments by handle."""

    def __init__(
        self, value_model: DeploymentHandle, recommender: DeploymentHandle, served: Served
    ) -> None:
        self.value_model = value_model
        self.recommender = recommender
        self.served = served

    async def value(self, customers: list[CustomerQuery]) -> list[Answer]:
        """See Backend."""
        return await _call(self.value_model.answer, customers)

    async def recommend(
        self, customers: list[CustomerQuery], options: RecommendOptions
    ) -> list[Answer]:
        """See Backend."""
        return await _call(self.recommender.answer, customers, options)

    async def similar(self, item_id: str, options: RecommendOptions) -> Answer | None:
        """See Backend."""
        return next(iter(await _call(self.recommender.similar, item_id, options)), None)

    async def describe(self) -> Answer:
        """See Backend; answers once both deployments have answered a question, and at once ever after."""
        if not await asyncio.to_thread(self.served.has_answered):
            question = [newcomer(self.served.data_end)]
            await self.value(question)
            with suppress(InvalidRequest):  # of an artifact that recommends nothing
                await self.recommend(question, RecommendOptions())
            await asyncio.to_thread(self.served.remember)
        return self.served.description


async def _call(method: DeploymentHandle, *arguments: object) -> list[Answer]:
    """The answers of a replica; InvalidRequest where it has problems instead, Busy, and Unavailable."""
    for _ in range(NUM_ATTEMPTS):
        try:
            reply: Reply = await method.remote(*arguments)
        except RayActorError:
            continue
        except BackPressureError:
            raise Busy from None
        except DeploymentUnavailableError:
            break
        if reply.problems:
            raise InvalidRequest(reply.problems)
        return list(reply.answers)
    raise Unavailable
