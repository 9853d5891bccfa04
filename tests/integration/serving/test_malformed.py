"""Ten thousand malformed requests: none of them ends in a status of 500 or more."""

import collections
import random
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from lifecycle.erasure.keys import create_keys
from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.opening import make_log
from serving.api.admission import ApiSettings
from serving.api.application import create_api
from serving.api.fields import Limits
from serving.api.profiles import NO_STATE
from serving.keys import KeyRing, create_key, revoke_key
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from tests.builders import TinyShop
from tests.integration.serving.malformed import Malformed, malformed
from tests.integration.serving.service import Service
from tests.serving.builders import InProcess

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
SETTINGS = ApiSettings(Limits(3, 20), 20_000, max_in_flight=8, timeout_seconds=30.0)
IN_PROCESS, OVER_HTTP = 9_000, 1_000


def statuses(client: httpx.Client, key: str, count: int, seed: int) -> collections.Counter[int]:
    """How often each status was the answer; the first request of each of 500 and more is told.

    Services of these tests have no state, and say so of pages of customers with 501.
    """
    chance = random.Random(seed)
    found: collections.Counter[int] = collections.Counter()
    bad: dict[int, Malformed] = {}
    for _ in range(count):
        request = malformed(chance)
        authorization = f"Bearer {key}" if request.authorization is None else request.authorization
        headers = {
            "Authorization": authorization.encode("latin-1"),
            "Content-Type": request.content_type.encode(),
        }
        answer = client.request(request.method, request.path, content=request.body, headers=headers)
        found[answer.status_code] += 1
        lacks_state = answer.status_code == 501 and NO_STATE in answer.text
        if answer.status_code >= 500 and not lacks_state:
            bad.setdefault(answer.status_code, request)
    assert not bad
    return found


def test_no_malformed_request_ends_in_an_error_of_ours(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    _, key = create_key(keys, "admin", datetime.now(UTC))
    create_keys(tmp_path / "erasure.json", datetime.now(UTC))
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}", tmp_path / "erasure.json")
    writer = GroupCommit(log)
    store, backend = EventStore(tiny_shop.data, log), InProcess(Predictor(tiny_artifact))
    api = create_api(SETTINGS, KeyRing(keys), store, backend, writer)
    with TestClient(api, raise_server_exceptions=False) as client:
        found = statuses(client, key, IN_PROCESS, seed=1)
    assert {200, 401, 404, 405, 413, 422} <= set(found)
    assert found[422] > IN_PROCESS / 3


@pytest.mark.alone
def test_nor_does_one_over_http(service: Service) -> None:
    entry, key = create_key(service.keys, "admin", datetime.now(UTC))
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
        found = statuses(client, key, OVER_HTTP, seed=2)
    revoke_key(service.keys, entry.id)
    assert found[422] > OVER_HTTP / 3
