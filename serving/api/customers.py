"""The endpoints of scope `admin` about one customer: erasure with a receipt, and its end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.responses import JSONResponse

from lifecycle.erasure.receipt import ErasureReceipt, exports_named
from lifecycle.events.shards import read_data_manifest
from lifecycle.log.database import Log
from lifecycle.log.erasing import LogErasure, clean_files, erase, find_erasure, holds_events, lift
from serving.api.access import require_scope
from serving.api.admission import Admission
from serving.api.events import NO_LOG
from serving.api.openapi import responses_of
from serving.keys import KeyRing
from serving.predict.problems import InvalidRequest, Problem
from serving.store.events import EventStore, UnknownCustomers
from serving.store.held import rows_held

FAILURES = (401, 403, 404, 422, 429, 501, 503, 507)
MAX_ID_LETTERS = 256
LOG_PLACE = "log"
OTHER_FOLDERS = (
    "examples, sequences, scores, predictions, rankings, reports, audiences, profiles and state: "
    "until python -m training.erase has run"
)


@dataclass(frozen=True)
class Erasing:
    """The endpoints of this file; `log` is None where the service was started without one."""

    admission: Admission
    store: EventStore
    log: Log | None

    async def erase(self, customer_id: str) -> Response:
        return await self._answer(customer_id, self._erased)

    async def lift(self, customer_id: str) -> Response:
        return await self._answer(customer_id, self._lifted)

    async def _answer(
        self, customer_id: str, act: Callable[[Log, str, datetime], ErasureReceipt]
    ) -> Response:
        if self.log is None:
            raise HTTPException(501, f"erasures are kept in the event log: {NO_LOG}")
        check_id(customer_id)
        async with self.admission.answering():
            try:
                receipt = await asyncio.to_thread(act, self.log, customer_id, datetime.now(UTC))
            except ValueError as error:  # of the key file
                raise HTTPException(501, f"nobody can be erased: {error}") from None
        return JSONResponse(receipt.model_dump(mode="json"), headers={"Cache-Control": "no-store"})

    def _erased(self, log: Log, customer_id: str, now: datetime) -> ErasureReceipt:
        """Of who is erased already, what is known and pending now: a lost answer may be asked for again."""
        rows = rows_held(self.store.data, customer_id)
        is_erased = find_erasure(log, customer_id) is not None
        if not (is_erased or rows or holds_events(log, customer_id)):
            raise UnknownCustomers([customer_id])
        found = erase(log, customer_id, now)
        self.store.forget(customer_id)
        # A vacuum of PostgreSQL takes longer than a request may; training.erase makes it.
        is_clean = log.path is not None and clean_files(log)
        return self._receipt(found, is_clean=is_clean, rows=rows)

    def _lifted(self, log: Log, customer_id: str, now: datetime) -> ErasureReceipt:
        found = lift(log, customer_id, now)
        if found is None:
            raise HTTPException(404, f"no customer {customer_id!r} is erased")
        return _receipt_of(found)

    def _receipt(self, found: LogErasure, *, is_clean: bool, rows: int) -> ErasureReceipt:
        pending = (
            [] if is_clean else ["log: old pages on disk, until its next checkpoint or vacuum"]
        )
        if rows:
            pending.append(
                f"{self.store.data}: {rows} rows, until python -m training.erase has run"
            )
        identity = self.admission.loaded()["identity"]
        made_from = read_data_manifest(self.store.data).made_from
        return _receipt_of(found).model_copy(
            update={
                "pending": (*pending, OTHER_FOLDERS),
                "trained": (f"artifact {identity}",) if rows else (),
                "exports": exports_named(made_from) if rows else (),
            }
        )


def add_customers(
    api: FastAPI, keys: KeyRing, admission: Admission, store: EventStore, log: Log | None
) -> None:
    """Let the API erase customers for callers whose key has the scope."""
    endpoints = Erasing(admission, store, log)
    guard = [Depends(require_scope(keys, "admin"))]
    responses = responses_of(ErasureReceipt, *FAILURES)
    place = "/v1/customers/{customer_id:path}"  # an id may hold slashes
    erasing = api.delete(
        place, dependencies=guard, responses=responses, summary="Erase a customer, with a receipt"
    )
    erasing(endpoints.erase)
    lifting = api.post(
        f"{place}/lift",
        dependencies=guard,
        responses=responses,
        summary="Let an erased customer come back",
    )
    lifting(endpoints.lift)


def check_id(customer_id: str) -> None:
    """InvalidRequest for an id that no customer has."""
    told = None
    if not 1 <= len(customer_id) <= MAX_ID_LETTERS:
        told = f"must have 1 to {MAX_ID_LETTERS} characters"
    elif "\0" in customer_id:
        told = "holds a NUL character"
    elif customer_id != customer_id.strip():
        told = "begins or ends with a blank"
    if told:
        raise InvalidRequest([Problem("customer_id", told)])


def _receipt_of(found: LogErasure) -> ErasureReceipt:
    told = found.tombstone
    return ErasureReceipt(
        customer=told.sha256,
        key=told.key,
        erased_at=told.erased_at,
        lifted_at=told.lifted_at,
        deleted={LOG_PLACE: found.num_events},
    )
