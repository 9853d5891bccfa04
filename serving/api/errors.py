"""Every error a caller can cause, as JSON."""

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from serving.api.requests import (
    InvalidRequest,
)
from serving.store.events import UnknownCustomers

RETRY_AFTER_SECONDS = 1


class Busy(Exception):
    """The models have no room for another request."""


class Unavailable(Exception):
    """No model can answer at the moment."""


def add_errors(api: FastAPI) -> None:
    """Every error a caller can cause as JSON with `detail`; nothing of the request is repeated but ids and fields."""

    @api.exception_handler(InvalidRequest)
    async def invalid(_: Request, error: InvalidRequest) -> Response:
        detail = [{"field": name, "message": message} for name, message in error.problems]
        return JSONResponse({"detail": detail}, 422)

    @api.exception_handler(UnknownCustomers)
    async def unknown(_: Request, error: UnknownCustomers) -> Response:
        names = ", ".join(repr(customer) for customer in error.customer_ids[:10])
        return JSONResponse({"detail": f"the event store does not know customer {names}"}, 404)

    @api.exception_handler(Busy)
    async def busy(_: Request, error: Busy) -> Response:
        return retry_response(429, "the queue of the models is full")

    @api.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> Response:
        return retry_response(503, "no model can answer at the moment")


def retry_later(status: int, message: str) -> HTTPException:
    return HTTPException(status, message, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def retry_response(status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status, {"Retry-After": str(RETRY_AFTER_SECONDS)})
