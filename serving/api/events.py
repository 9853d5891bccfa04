"""The endpoint of scope `write`: events into the log, acknowledged when they are on disk."""

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.writer import Batch, Conflict, new_batch
from serving.api.access import require_scope
from serving.api.admission import Admission
from serving.api.bodies import read_body
from serving.api.fields import Reading
from serving.api.histories import frame_of
from serving.api.openapi import body_of, responses_of
from serving.api.requests import EventsRequest, parse
from serving.api.responses import EventsResponse
from serving.keys import KeyRing

FAILURES = (401, 403, 409, 413, 422, 429, 501, 503, 507)  # nothing of such a request is written
MAX_NAMED_EVENTS = 10
NO_LOG = "this service has no event log; start it with log=sqlite:///PATH or log=postgresql://..."


@dataclass(frozen=True)
class Events:
    """The endpoint of this file; `log` is None where the service was started without one."""

    admission: Admission
    log: GroupCommit | None

    async def append(self, request: Request) -> Response:
        if self.log is None:
            raise HTTPException(501, NO_LOG)
        async with self.admission.answering():
            settings = self.admission.settings
            body = await read_body(request, settings.max_body_bytes)
            reading = Reading(settings.limits, datetime.now(UTC))
            batch = await asyncio.to_thread(batch_of, body, reading)
            outcome = await asyncio.wrap_future(self.log.submit(batch))
        if isinstance(outcome, Conflict):
            raise HTTPException(409, conflict_line(outcome))
        return JSONResponse(asdict(outcome))


def add_events(api: FastAPI, keys: KeyRing, admission: Admission, log: GroupCommit | None) -> None:
    """Let the API take events of callers whose key has the scope."""
    post = api.post(
        "/v1/events",
        dependencies=[Depends(require_scope(keys, "write"))],
        responses=responses_of(EventsResponse, *FAILURES),
        openapi_extra=body_of(EventsRequest),
        summary="Events of customers, counted from the next answer on",
    )
    post(Events(admission, log).append)


def batch_of(body: bytes, reading: Reading) -> Batch:
    """The events in a body; InvalidRequest names what does not fit."""
    request = parse(EventsRequest, body, reading)
    return new_batch(frame_of(request.events), reading.now)


def conflict_line(conflict: Conflict) -> str:
    """Which ids are given to other events."""
    named = ", ".join(map(repr, conflict.event_ids[:MAX_NAMED_EVENTS]))
    more = len(conflict.event_ids) - MAX_NAMED_EVENTS
    others = f" and {more} more" if more > 0 else ""
    return (
        f"event_id {named}{others}: the log, or this request, has it with other content; "
        "nothing of this request was written"
    )
