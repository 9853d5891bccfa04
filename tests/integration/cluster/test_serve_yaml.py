"""`serve deploy cluster/serve.yaml` with PostgreSQL: known customers, events, a new artifact and back, outages."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from benchmarks.harness.ports import free_ports
from lifecycle.erasure.keys import create_keys
from lifecycle.log.opening import open_log
from lifecycle.log.reader import customers_since
from lifecycle.state.answers import body_of
from lifecycle.state.lookup import CustomerState
from lifecycle.value.formula import ClvSettings
from serving.api.responses import EventsResponse
from serving.client import Client, ServiceError
from serving.keys import create_key
from tests.builders import TinyShop
from tests.integration.cluster.deployed import Deployed, asking
from tests.integration.cluster.head import running_head
from tests.integration.serving.malformed import statuses
from tests.lifecycle.log.callers import Callers
from tests.lifecycle.log.postgres import Server, running_server
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.score.job import score
from training.score.recipe import ScoreConfig

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.thorough]
EVENT = {"occurred_at": "2025-01-02T10:00:00Z", "kind": "purchase", "amount": 30.0}
KNOWN = {"customer_id": "c1"}
NUM_MALFORMED = 1000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="module")
def other_artifact(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of another champion."""
    output = tmp_path_factory.mktemp("other")
    evaluate(
        EvaluateConfig(
            data=tiny_shop.data,
            examples=tiny_shop.examples,
            models=("persistence", "bgnbd_gg", "popularity"),
            num_resamples=20,
            clv=ClvSettings(period_days=30, num_periods=4),
            report_html=False,
            output=output,
        )
    )
    return output / "artifact"


@pytest.fixture(scope="module")
def deployed(
    tiny_shop: TinyShop,
    tiny_artifact: Path,
    server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("deployed")
    score(ScoreConfig(data=tiny_shop.data, artifact=tiny_artifact, state=folder / "state"))
    _, key = create_key(folder / "keys.json", "admin", datetime.now(UTC))
    create_keys(folder / "erasure.json", datetime.now(UTC))
    args = {
        "artifact": str(tiny_artifact),
        "events": str(tiny_shop.data),
        "state": str(folder / "state"),
        "log": server.new_database(),
        "keys": str(folder / "keys.json"),
        "erasure_key": str(folder / "erasure.json"),
    }
    [port] = free_ports(1)
    with running_head("--num-cpus=4") as environment:
        deployed = Deployed(environment, folder / "serve.yaml", port, key, args)
        deployed.deploy()
        yield deployed


def test_known_customers_are_answered_from_their_state(deployed: Deployed) -> None:
    answer = httpx.post(
        f"{deployed.url}/v1/value",
        json={"customers": [KNOWN]},
        headers={"Authorization": f"Bearer {deployed.key}"},
        timeout=60,
        trust_env=False,
    )
    kept = CustomerState(Path(deployed.args["state"])).find("c1")
    assert kept is not None and answer.content == body_of([kept])
    assert answer.headers["State-Age"].isdecimal()


def test_next_answer_of_every_gateway_reflects_an_event(deployed: Deployed) -> None:
    for day in range(1, 9):
        at = f"2025-02-{day:02d}T10:00:00"
        event = EVENT | {"event_id": f"d{day}", "customer_id": "daily", "occurred_at": f"{at}Z"}
        with (
            deployed.client() as writer,
            deployed.client() as reader,
        ):  # each a connection of its own
            assert writer.send([event]) == EventsResponse(accepted=1, duplicates=0, refused=0)
            [answer] = reader.value([{"customer_id": "daily"}])
        assert answer.as_of.startswith(f"{at}.000001")


def test_new_artifact_by_a_new_path_and_back_without_a_failed_request(
    deployed: Deployed, tiny_shop: TinyShop, other_artifact: Path, tmp_path: Path
) -> None:
    score(ScoreConfig(data=tiny_shop.data, artifact=other_artifact, state=tmp_path / "state"))
    [first], [second] = (
        {CustomerState(Path(state)).find("c1")}
        for state in (deployed.args["state"], tmp_path / "state")
    )
    assert first != second

    def known(client: Client) -> str:
        return client.value([KNOWN])[0].model

    def computed(client: Client) -> str:
        return client.value([{"events": [EVENT]}])[0].model

    def recommended(client: Client) -> str:
        return client.recommendations([KNOWN], k=2)[0].model

    with deployed.client() as client:
        before = known(client)
        with asking(deployed, known, computed, recommended) as asked:
            deployed.deploy(artifact=str(other_artifact), state=str(tmp_path / "state"))
            assert {known(client) for _ in range(20)} == {"bgnbd_gg"}
            deployed.deploy()
            assert {known(client) for _ in range(20)} == {before}
    assert asked.models.total() > 100 and {before, "bgnbd_gg"} <= set(asked.models)
    assert asked.failures == []


def test_postgres_that_starts_again_costs_refusals_and_no_event(
    deployed: Deployed, server: Server
) -> None:
    with deployed.client() as client:

        def send(name: str) -> None:
            told = client.send([EVENT | {"event_id": name, "customer_id": "steady"}])
            assert told.accepted + told.duplicates == 1

        callers = Callers(send, ServiceError)
        with callers.calling():
            for how in (signal.SIGQUIT, signal.SIGINT):
                callers.wait_for_more(50)
                server.stop(how)
                for ask in (lambda: client.value([KNOWN]), lambda: client.customer("c1")):
                    with pytest.raises(ServiceError, match="503.*does not answer") as error:
                        ask()
                    assert error.value.retry_after_seconds == 1.0
                server.start()
            callers.wait_for_more(50)
        assert client.value([KNOWN])
    refusals = [error for error in callers.refusals if isinstance(error, ServiceError)]
    assert {(error.status, error.retry_after_seconds) for error in refusals} == {(503, 1.0)}
    log = open_log(deployed.args["log"], Path(deployed.args["erasure_key"]))
    found = customers_since(log, 0, ["steady"]).events["event_id"].to_list()
    log.engine.dispose()
    assert len(found) == len(set(found)) and set(found) == set(callers.acknowledged)


def test_no_malformed_request_ends_in_an_error_of_ours(deployed: Deployed) -> None:
    with httpx.Client(base_url=deployed.url, trust_env=False, timeout=60) as client:
        found = statuses(client, deployed.key, NUM_MALFORMED, seed=2)
    assert found[422] > NUM_MALFORMED / 3
