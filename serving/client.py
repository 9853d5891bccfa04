"""A small client of the service."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import httpx

Customer = Mapping[str, object]  # customer_id or events, and perhaps attributes and as_of


class ServiceError(Exception):
    """The service refused a request: `status`, what it said, and after how many seconds to try again (429, 503)."""

    def __init__(self, status: int, detail: object, retry_after_seconds: float | None) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.detail, self.retry_after_seconds = status, detail, retry_after_seconds


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

    def value(self, customers: Sequence[Customer]) -> list[dict[str, object]]:
        """Lifetime value of each customer."""
        return self._customers("/v1/value", {"customers": list(customers)})

    def recommendations(
        self, customers: Sequence[Customer], k: int = 10, **options: object
    ) -> list[dict[str, object]]:
        """At most `k` items for each customer; `options` are further keys of the request, such as category."""
        return self._customers(
            "/v1/recommendations", {"customers": list(customers), "k": k, **options}
        )

    def model(self) -> dict[str, object]:
        """What answers."""
        return self._json(self.http.get("/v1/model"))

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

    def _customers(self, path: str, body: dict[str, object]) -> list[dict[str, object]]:
        answers = self._json(self.http.post(path, json=body))["customers"]
        assert isinstance(answers, list)
        return answers

    def _json(self, response: httpx.Response) -> dict[str, object]:
        if response.is_success:
            content: dict[str, object] = response.json()
            return content
        try:
            detail = response.json().get("detail")
        except ValueError:
            detail = response.text[:200]
        retry_after = response.headers.get("Retry-After")
        raise ServiceError(
            response.status_code, detail, float(retry_after) if retry_after else None
        )
