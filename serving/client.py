"""A small client of the service."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx
from pydantic import JsonValue

Answer = dict[str, JsonValue]
CustomerFields = Mapping[str, JsonValue]  # customer_id or events, and perhaps attributes and as_of


class ServiceError(Exception):
    """The service refused a request: `status`, what it said, and after how many seconds to try again (429, 503)."""

    def __init__(self, status: int, detail: JsonValue, retry_after_seconds: float | None) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class Client:
    """Calls the service with one key over kept-alive connections; answers keep the order of the customers."""

    def __init__(
        self, key: str, url: str = "http://127.0.0.1:8000", timeout_seconds: float = 60.0
    ) -> None:
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout_seconds,
            trust_env=False,
        )

    def value(self, customers: Sequence[CustomerFields]) -> list[Answer]:
        """Lifetime value of each customer."""
        return self._ask("/v1/value", customers, {})

    def recommendations(
        self, customers: Sequence[CustomerFields], k: int = 10, **options: JsonValue
    ) -> list[Answer]:
        """At most `k` items for each customer; `options` are further keys of the request, such as category."""
        return self._ask("/v1/recommendations", customers, {"k": k, **options})

    def send(self, events: Sequence[Answer]) -> tuple[int, int]:
        """Write events to the log: how many are new, and how many it had. Repeat the call where it fails."""
        told = _checked(self.http.post("/v1/events", json={"events": list(events)})).json()
        return told["accepted"], told["duplicates"]

    def model(self) -> Answer:
        """What answers."""
        description: Answer = _checked(self.http.get("/v1/model")).json()
        return description

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self, path: str, customers: Sequence[CustomerFields], options: Mapping[str, JsonValue]
    ) -> list[Answer]:
        body = {"customers": list(customers), **options}
        answers: list[Answer] = _checked(self.http.post(path, json=body)).json()["customers"]
        return answers


def _checked(response: httpx.Response) -> httpx.Response:
    """The response of a request that was answered; ServiceError for any other."""
    if response.is_success:
        return response
    try:
        detail = response.json().get("detail")
    except ValueError:
        detail = response.text[:200]
    retry_after = response.headers.get("Retry-After")
    seconds = float(retry_after) if retry_after else None
    raise ServiceError(response.status_code, detail, seconds)
