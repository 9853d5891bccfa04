"""Every error a caller can cause, as JSON with `detail`; nothing of the request is repeated but ids and fields."""

import logging
from dataclasses import asdict

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from lifecycle.log.problems import LogFull, LogUnavailable
from serving.predict.problems import InvalidRequest
from serving.store.events import UnknownCustomers

logger = logging.getLogger(__name__)
RETRY_AFTER_SECONDS = 1
RETRY_AFTER = {"Retry-After": str(RETRY_AFTER_SECONDS)}
MAX_NAMED_CUSTOMERS = 10


class Busy(Exception):
    """The models have no room for another request."""


class Unavailable(Exception):
    """No model can answer at the moment."""


def add_errors(api: FastAPI) -> None:
    """Let the API answer what its parts raise."""
    api.exception_handler(InvalidRequest)(_invalid)
    api.exception_handler(UnknownCustomers)(_unknown)
    api.exception_handler(Busy)(_busy)
    api.exception_handler(Unavailable)(_unavailable)
    api.exception_handler(LogUnavailable)(_no_log)
    api.exception_handler(LogFull)(_full_log)


def retry_later(status: int, message: str) -> HTTPException:
    """To raise where it is worth asking again soon."""
    return HTTPException(status, message, RETRY_AFTER)


async def _invalid(_: Request, error: InvalidRequest) -> Response:
    return JSONResponse({"detail": [asdict(problem) for problem in error.problems]}, 422)


async def _unknown(_: Request, error: UnknownCustomers) -> Response:
    names = ", ".join(map(repr, error.customer_ids[:MAX_NAMED_CUSTOMERS]))
    return JSONResponse({"detail": f"the event store does not know customer {names}"}, 404)


async def _busy(_: Request, error: Busy) -> Response:
    return JSONResponse({"detail": "the queue of the models is full"}, 429, RETRY_AFTER)


async def _unavailable(_: Request, error: Unavailable) -> Response:
    return JSONResponse({"detail": "no model can answer at the moment"}, 503, RETRY_AFTER)


async def _no_log(_: Request, error: LogUnavailable) -> Response:
    logger.error(error)
    return JSONResponse({"detail": str(error)}, 503, RETRY_AFTER)


async def _full_log(_: Request, error: LogFull) -> Response:
    logger.error(error)
    return JSONResponse({"detail": str(error)}, 507)
