"""The HTTP API as an ASGI application. What computes the answers is a Backend; Ray is not known here."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from lifecycle.log.group_commit import GroupCommit
from serving.api.admission import Admission, ApiSettings
from serving.api.backend import Backend
from serving.api.customers import add_customers
from serving.api.errors import Busy, Unavailable, add_errors
from serving.api.events import add_events
from serving.api.known import HotRoute
from serving.api.openapi import document
from serving.api.pages import add_pages
from serving.api.profiles import add_profiles
from serving.api.scoring import Scoring, add_scoring
from serving.keys import KeyRing
from serving.store.events import EventStore
from serving.store.known import KnownCustomers

logger = logging.getLogger(__name__)
STARTING_RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 1.0  # before requests are taken, and refused while models load


def create_api(
    settings: ApiSettings,
    keys: KeyRing,
    store: EventStore,
    backend: Backend,
    log: GroupCommit | None = None,
    known: KnownCustomers | None = None,
) -> FastAPI:
    """The whole API as an ASGI application; without a `log`, events and erasures are answered with 501."""
    admission = Admission(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(_wait_for_models(admission, backend))
        # Beside models that answer, the first request already finds it ready.
        await asyncio.wait([loading], timeout=PATIENCE_SECONDS)
        yield
        loading.cancel()

    api = FastAPIOffline(  # /docs works without a network
        title="Evervalue",
        version="1",
        summary="Customer value and recommendations",
        lifespan=lifespan,
        redoc_url=None,
    )
    add_pages(api, admission)
    scoring = Scoring(admission, store, backend, known)
    add_scoring(api, keys, scoring)
    add_profiles(api, keys, scoring)
    add_events(api, keys, admission, log)
    add_customers(api, keys, admission, store, None if log is None else log.log)
    add_errors(api)
    document(api)
    return api


def with_hot_route(
    api: FastAPI, settings: ApiSettings, keys: KeyRing, known: KnownCustomers | None
) -> ASGIApp:
    """The API behind the way round it that known customers take, where there are any."""
    if known is None:
        return api
    return HotRoute(api, keys, settings, known, api.routes)


async def _wait_for_models(admission: Admission, backend: Backend) -> None:
    while admission.description is None:
        with suppress(Busy, Unavailable):
            admission.description = await backend.describe()
            logger.info("ready")
            return
        await asyncio.sleep(STARTING_RETRY_SECONDS)
