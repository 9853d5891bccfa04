"""Ten thousand malformed requests, a tenth of them over HTTP elsewhere: none ends in a status of 500 or more."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lifecycle.erasure.keys import create_keys
from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.opening import make_log
from serving.api.admission import ApiSettings
from serving.api.application import create_api, with_hot_route
from serving.api.fields import Limits
from serving.keys import KeyRing, create_key
from serving.predict.predictor import Predictor
from serving.store.events import EventStore
from serving.store.known import KnownCustomers
from tests.builders import TinyShop
from tests.integration.serving.malformed import statuses
from tests.serving.builders import InProcess
from training.score.job import score
from training.score.recipe import ScoreConfig

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
SETTINGS = ApiSettings(Limits(3, 20), 20_000, max_in_flight=8, timeout_seconds=30.0)
COUNT = 9_000


def test_no_malformed_request_ends_in_an_error_of_ours(
    tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.json"
    _, key = create_key(keys, "admin", datetime.now(UTC))
    create_keys(tmp_path / "erasure.json", datetime.now(UTC))
    score(ScoreConfig(data=tiny_shop.data, artifact=tiny_artifact, state=tmp_path / "state"))
    log = make_log(f"sqlite:///{tmp_path / 'log.db'}", tmp_path / "erasure.json")
    writer = GroupCommit(log)
    store, backend = EventStore(tiny_shop.data, log), InProcess(Predictor(tiny_artifact))
    known, ring = KnownCustomers(tmp_path / "state", store.since), KeyRing(keys)
    api = create_api(SETTINGS, ring, store, backend, writer, known)
    served = with_hot_route(api, SETTINGS, ring, known)
    with TestClient(served, raise_server_exceptions=False) as client:
        found = statuses(client, key, COUNT, seed=1)
    assert {200, 401, 404, 405, 413, 422} <= set(found)
    assert found[422] > COUNT / 3
