"""Requests that are wrong in one way or several, out of a seed."""

import copy
import json
import random
from collections import Counter
from dataclasses import dataclass

import httpx

CUSTOMER = {
    "customer_id": "c1",
    "attributes": {"annual_discount_rate": 0.1},
    "as_of": "2024-11-01T00:00:00Z",
}
EVENT = {
    "event_id": "e1",
    "customer_id": "c1",
    "occurred_at": "2024-10-01T10:00:00Z",
    "kind": "purchase",
    "order_id": "o1",
    "item_id": "i1",
    "quantity": 1.0,
    "amount": 10.0,
    "text": "fine",
}
HISTORY = [{name: value for name, value in EVENT.items() if name != "customer_id"}]
BODIES: dict[str, dict[str, object]] = {
    "/v1/value": {"customers": [CUSTOMER, {"events": HISTORY}], "explain": "features"},
    "/v1/recommendations": {
        "customers": [CUSTOMER],
        "k": 5,
        "candidates": ["i1", "i2"],
        "exclude": ["i3"],
        "category": "coffee",
        "query": "dark",
        "min_price": 1.0,
        "max_price": 9.0,
        "in_stock": True,
        "objective": "probability",
    },
    "/v1/events": {"events": [EVENT]},
}
PATHS = (
    *BODIES,
    "/",
    "/healthz",
    "/v1/model",
    "/v1/customers/nobody",  # erasing the service's customers would take them from other tests
    "/v1/customers",
    "/openapi.json",
    "/v1",
    "/%00/..",
)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
WRONG: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 0.0, -0.0, 1e308, -1e308, 5e-324,
    float("nan"), float("inf"), float("-inf"),
    "", " ", "x", "x" * 5000, "\0", "\ud800", "\U0001f600", "null", "1", "NaN", "i1", "c1", "'; drop table events; --",
    "2024-13-45", "0000-00-00", "9999-12-31T23:59:59Z", "1677-01-01", "2262-05-01", "-5000-01-01", "1e9", "2024-10-01",
    "2024-10-01T10:00:00+99:99", "purchase", "refund", "renewal", "probability", "margin", "events",
    [], [[]], {}, {"": None}, [None] * 300, {"customer_id": "c1"}, [{"customer_id": "c1"}] * 30,
)  # fmt: skip
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "",
    "application/x-www-form-urlencoded",
)


@dataclass(frozen=True)
class Malformed:
    """A request; `authorization` is None where it has the right key."""

    method: str
    path: str
    body: bytes
    content_type: str
    authorization: str | None = None


def statuses(client: httpx.Client, key: str, count: int, seed: int) -> "Counter[int]":
    """How often each status was the answer to a seed's requests; none may be 500 or more."""
    chance = random.Random(seed)
    found: Counter[int] = Counter()
    for _ in range(count):
        request = malformed(chance)
        authorization = f"Bearer {key}" if request.authorization is None else request.authorization
        headers = {
            "Authorization": authorization.encode("latin-1"),
            "Content-Type": request.content_type.encode(),
        }
        answer = client.request(request.method, request.path, content=request.body, headers=headers)
        assert answer.status_code < 500, (answer.text, request)
        found[answer.status_code] += 1
    return found


def malformed(chance: random.Random) -> Malformed:
    """One of a seed's requests."""
    path = chance.choice([*BODIES] * 5 + [*PATHS])
    body = json.dumps(mutated(BODIES.get(path, {}), chance)).encode("utf-8", "surrogatepass")
    is_broken = chance.random() < 0.2
    return Malformed(
        method="POST" if chance.random() < 0.9 else chance.choice(METHODS),
        path=path + ("?cursor=%ff&k=-1" if chance.random() < 0.05 else ""),
        body=broken(body, chance) if is_broken else body,
        content_type="application/json" if chance.random() < 0.95 else chance.choice(TYPES),
        authorization=chance.choice(
            ("", "Bearer", "Bearer ü", "Basic eDp5", "Bearer " + "x" * 5000)
        )
        if chance.random() < 0.05
        else None,
    )


def mutated(body: dict[str, object], chance: random.Random) -> object:
    """A body with one to three values replaced, removed, repeated or added somewhere in it."""
    if chance.random() < 0.03:
        return copy.deepcopy(chance.choice(WRONG))
    tree = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        node: object = tree
        while isinstance(node, dict | list) and node:
            key = chance.choice(list(node) if isinstance(node, dict) else range(len(node)))
            inner = node[key]
            if isinstance(inner, dict | list) and inner and chance.random() < 0.75:
                node = inner
                continue
            changed(node, key, chance)
            break
    return tree


def changed(node: object, key: object, chance: random.Random) -> None:
    """One place of a body made wrong."""
    way = chance.random()
    if isinstance(node, dict):
        if way < 0.1:
            del node[key]
        elif way < 0.2:
            node[
                chance.choice(
                    (
                        "colour",
                        "",
                        "customer_id",
                        "events",
                        "event_id",
                        "impression_id",
                        "plan_days",
                    )
                )
            ] = copy.deepcopy(chance.choice(WRONG))
        else:
            node[key] = copy.deepcopy(chance.choice(WRONG))
    elif isinstance(node, list):
        if way < 0.2:
            node.extend(copy.deepcopy(node) * chance.choice((1, 20)))
        else:
            node[key] = copy.deepcopy(chance.choice(WRONG))  # type: ignore[call-overload]


def broken(body: bytes, chance: random.Random) -> bytes:
    """Bytes that are no JSON, as a rule."""
    place = chance.randrange(len(body) + 1)
    return chance.choice(
        (
            body[:place],
            body[:place] + bytes([chance.randrange(256)]) + body[place:],
            bytes(chance.randrange(256) for _ in range(40)),
            b"[" * 5000 + b"]" * 5000,
            b'{"customers":' * 300 + b"1" + b"}" * 300,
            b"\xef\xbb\xbf" + body,
            body + body,
            b"",
        )
    )
