"""The hot route: known customers are answered as plain ASGI, before the framework and without threads."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lifecycle.state.answers import body_of
from serving.api.access import may_call
from serving.api.admission import ApiSettings
from serving.api.fields import Reading
from serving.api.histories import Customer
from serving.api.openapi import Told
from serving.api.requests import ValueRequest, parse
from serving.keys import KeyRing
from serving.predict.problems import InvalidRequest
from serving.store.known import KnownCustomers

VALUE_PATH = "/v1/value"
STATE_AGE = "State-Age"  # header, see STATE_AGE_TOLD
STATE_AGE_TOLD: Told = {
    STATE_AGE: {
        "description": "seconds from the instant of customer state to the answer; there where a customer came from it",
        "schema": {"type": "integer"},
    }
}
MAX_BODY_BYTES = 2**16  # larger ones hold events, or so many customers that a thread looks them up
COMPUTED = (b'"events"', b'"attributes"', b'"as_of"')  # a body with these is not read twice


@dataclass(frozen=True)
class HotRoute:
    """Answers requests for the values of known customers; all others go to `app`, untouched.

    They take no place among the admitted requests and need no model: they are answered also while
    models load or are busy.
    """

    app: ASGIApp
    keys: KeyRing
    settings: ApiSettings
    known: KnownCustomers
    routes: Sequence[BaseRoute] = ()  # of `app`, by which Serve names requests in its metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._may_answer(scope):
            await self.app(scope, receive, send)
            return
        received: list[Message] = []
        response = None
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.timeout_seconds):
                body = await small_body(receive, received)
            response = None if body is None else self._answer(body)
        if response is None:
            await self.app(scope, replayed(received, receive), send)
        else:
            await response(scope, receive, send)

    def _may_answer(self, scope: Scope) -> bool:
        """Whether it is a request for values in JSON by a caller with a key for them."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != VALUE_PATH:
            return False
        headers = dict(reversed(scope["headers"]))  # the first of a name counts
        if headers.get(b"content-type") != b"application/json":
            return False
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        return may_call(self.keys, authorization, "score")

    def _answer(self, body: bytes) -> Response | None:
        """The response to a request with this body; None where the framework's route has to answer."""
        most = self.settings.max_body_bytes
        if len(body) > most or any(word in body for word in COMPUTED):
            return None
        now = datetime.now(UTC)
        try:
            request = parse(ValueRequest, body, Reading(self.settings.limits, now))
        except InvalidRequest:
            return None
        wanted = [customer for customer in default_ids(request) if customer is not None]
        if len(wanted) < len(request.customers):
            return None
        answers = self.known.answers_at_once(wanted)
        return None if answers is None else value_response(answers, self.known.age_seconds(now))


def default_ids(request: ValueRequest) -> list[str | None]:
    """The id of each customer who is asked for by nothing else, and by default, which state answers; else None."""
    if request.explain != "features":
        return [None] * len(request.customers)
    return [_default_id(customer) for customer in request.customers]


def _default_id(customer: Customer) -> str | None:
    is_plain = customer.events is None and not customer.attributes and customer.as_of is None
    return customer.customer_id if is_plain else None


def value_response(answers: Sequence[bytes], age_seconds: int | None) -> Response:
    """The response with these encoded answers; `age_seconds` where some come from customer state."""
    headers = {"Cache-Control": "no-store"}
    if age_seconds is not None:
        headers[STATE_AGE] = str(age_seconds)
    return Response(body_of(answers), headers=headers, media_type="application/json")


async def small_body(receive: Receive, received: list[Message]) -> bytes | None:
    """The body of a request; None of a large or a broken one. What was received is added to `received`."""
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES:
        message = await receive()
        received.append(message)
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
    return None


def replayed(received: list[Message], receive: Receive) -> Receive:
    """All that was received once more, and then what comes after it."""
    messages = deque(received)

    async def next_message() -> Message:
        return messages.popleft() if messages else await receive()

    return next_message
