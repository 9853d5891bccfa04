"""Plain FastAPI under one uvicorn worker: `python -m uvicorn --factory benchmarks.peers.plain_fastapi:create`.

`/known` checks a key and returns bytes from a dict; `/computed` calls the same predictor as the
service. Both are as one would write them in an afternoon. KEY_SHA256, STATE, ARTIFACT and DATA say
what is served.
"""

import hashlib
import hmac
import os
from pathlib import Path
from typing import Annotated

import polars as pl
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from lifecycle.state.answers import Answer
from lifecycle.state.files import CUSTOMERS_FILE
from lifecycle.state.lookup import CustomerState
from serving.api.histories import Customer
from serving.api.scoring import queries_of
from serving.predict.predictor import Predictor
from serving.store.events import EventStore

BEARER = HTTPBearer()


class Known(BaseModel):
    """A customer who is asked for by id."""

    customer_id: str


class KnownRequest(BaseModel):
    """Body of /known."""

    customers: list[Known]


class ComputedRequest(BaseModel):
    """Body of /computed."""

    customers: list[Customer]


def check(credentials: Annotated[HTTPAuthorizationCredentials, Depends(BEARER)]) -> None:
    """401 without the key."""
    sha256 = hashlib.sha256(credentials.credentials.encode()).hexdigest()
    if not hmac.compare_digest(sha256, os.environ["KEY_SHA256"]):
        raise HTTPException(401)


def create() -> FastAPI:
    """The application."""
    app = FastAPI()
    answers = read_answers(Path(os.environ["STATE"]))
    store = EventStore(Path(os.environ["DATA"]))
    predictor = Predictor(Path(os.environ["ARTIFACT"]))

    @app.post("/known", dependencies=[Depends(check)])
    async def known(request: KnownRequest) -> Response:
        found = [answers[customer.customer_id] for customer in request.customers]
        body = b'{"customers":[' + b",".join(found) + b"]}"
        return Response(body, media_type="application/json")

    @app.post("/computed", dependencies=[Depends(check)])
    def computed(request: ComputedRequest) -> dict[str, list[Answer]]:
        return {"customers": predictor.value(queries_of(store, request.customers))}

    return app


def read_answers(folder: Path) -> dict[str, bytes]:
    """The encoded answer for every customer of a folder of state."""
    state = CustomerState(folder)
    answers = {}
    for customer in pl.read_parquet(folder / CUSTOMERS_FILE)["customer_id"]:
        answer = state.find(customer)
        assert answer is not None
        answers[customer] = answer
    return answers
