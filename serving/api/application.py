"""The HTTP API as an ASGI application. What computes the answers is a Backend; Ray is not known here."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from lifecycle.log.group_commit import GroupCommit
from serving.api.admission import Admission, ApiSettings
from serving.api.backend import Backend
from serving.api.errors import Busy, Unavailable, add_errors
from serving.api.events import add_events
from serving.api.openapi import document
from serving.api.pages import add_pages
from serving.api.scoring import add_scoring
from serving.keys import KeyRing
from serving.store.events import EventStore

logger = logging.getLogger(__name__)
STARTING_RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 1.0  # before requests are taken, and refused while models load


def create_api(
    settings: ApiSettings,
    keys: KeyRing,
    store: EventStore,
    backend: Backend,
    log: GroupCommit | None = None,
) -> FastAPI:
    """The whole API as an ASGI application; without a `log`, events are answered with 501."""
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
    add_scoring(api, keys, admission, store, backend)
    add_events(api, keys, admission, log)
    add_errors(api)
    document(api)
    return api


async def _wait_for_models(admission: Admission, backend: Backend) -> None:
    while admission.description is None:
        with suppress(Busy, Unavailable):
            admission.description = await backend.describe()
            logger.info("ready")
            return
        await asyncio.sleep(STARTING_RETRY_SECONDS)
