import asyncio
from pathlib import Path

from fastapi.testclient import TestClient
from httpx import Response

from serving.api.admission import ApiSettings
from serving.api.application import create_api
from serving.api.errors import Unavailable
from serving.keys import KeyRing
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from tests.builders import TinyShop
from tests.serving.builders import (
    KNOWN,
    SETTINGS,
    InProcess,
    post,
    wait_until_ready,
)


def test_over_the_limit_of_requests_the_answer_is_429(
    client: TestClient, backend: InProcess
) -> None:
    backend.seconds = 0.5

    async def ask_together() -> list[Response]:
        return await asyncio.gather(*(asyncio.to_thread(post, client, KNOWN) for _ in range(6)))

    responses = asyncio.run(ask_together())
    assert sorted(response.status_code for response in responses) == [200, 200, 429, 429, 429, 429]
    assert {response.headers.get("Retry-After") for response in responses} == {None, "1"}
    backend.seconds = 0.0
    assert post(client, KNOWN).status_code == 200


def test_while_models_load_the_answer_is_503(
    tiny_shop: TinyShop, predictor: Predictor, keys: dict[str, str], tmp_path: Path
) -> None:
    backend = InProcess(predictor)
    backend.failure = Unavailable()
    api = create_api(SETTINGS, KeyRing(tmp_path / "keys.json"), EventStore(tiny_shop.data), backend)
    with TestClient(api, headers={"Authorization": f"Bearer {keys['score']}"}) as client:
        for response in (client.get("/healthz"), client.get("/v1/model"), post(client, KNOWN)):
            assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert "starting" in client.get("/").text
        backend.failure = None
        wait_until_ready(client)
        assert post(client, KNOWN).status_code == 200


def test_answer_that_takes_too_long_is_given_up(
    tiny_shop: TinyShop, predictor: Predictor, keys: dict[str, str], tmp_path: Path
) -> None:
    backend = InProcess(predictor)
    settings = ApiSettings(SETTINGS.limits, 1000, max_in_flight=1, timeout_seconds=0.2)
    api = create_api(settings, KeyRing(tmp_path / "keys.json"), EventStore(tiny_shop.data), backend)
    with TestClient(api, headers={"Authorization": f"Bearer {keys['score']}"}) as client:
        wait_until_ready(client)
        backend.seconds = 30.0
        assert [post(client, KNOWN).status_code for _ in range(2)] == [503, 503]
