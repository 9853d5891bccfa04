"""Arguments of the service, what is refused before anything starts, and what Serve is given."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import pytest
import ray
import yaml
from pydantic import BaseModel
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import (
    DeploymentSchema,
    HTTPOptionsSchema,
    ServeApplicationSchema,
    ServeDeploySchema,
)

from lifecycle.artifact.contents import read_artifact_manifest
from lifecycle.erasure.keys import create_keys
from lifecycle.erasure.tombstones import Tombstones, write_tombstones
from lifecycle.events.shards import read_data_manifest
from lifecycle.folders import Manifest, fingerprint, write_manifest
from lifecycle.log.erasing import erase
from lifecycle.log.opening import make_log, open_log
from lifecycle.log.services import register, this_process
from serving.app import (
    ServeArguments,
    api_settings,
    build,
    gateway_deployment,
    haproxy_ports,
    new_application,
    require_free_port,
    warn_of_erasures,
)
from serving.keys import create_key
from tests.builders import REPOSITORY, TinyShop, rewrite_manifest
from tests.lifecycle.state.builders import part_of, write_state

SERVE_YAML = REPOSITORY / "cluster" / "serve.yaml"


@pytest.fixture
def arguments(tiny_shop: TinyShop, tiny_artifact: Path, tmp_path: Path) -> dict[str, object]:
    create_key(tmp_path / "keys.json", "score", datetime.now(UTC))
    copytree(tiny_artifact, tmp_path / "artifact")
    return {
        "artifact": tmp_path / "artifact",
        "events": tiny_shop.data,
        "keys": tmp_path / "keys.json",
    }


def test_words_of_the_command_line_become_values() -> None:
    words = {"artifact": "a", "events": "b", "port": "8001", "batch_wait_seconds": "0.1"}
    arguments = ServeArguments.model_validate(words)
    assert (arguments.artifact, arguments.port, arguments.batch_wait_seconds) == (
        Path("a"),
        8001,
        0.1,
    )
    assert arguments.host == "127.0.0.1"


@pytest.mark.parametrize(
    "wrong", [{"evnts": "b"}, {"port": "0"}, {"replicas": "0"}, {"timeout_seconds": "nan"}]
)
def test_wrong_arguments_are_refused_by_name_in_one_line(wrong: dict[str, str]) -> None:
    words = {"artifact": "a", "events": "b"} | wrong
    with pytest.raises(SystemExit, match=rf"^serving.app: .*{next(iter(wrong))}.*$"):
        call_user_app_builder_with_args_if_necessary(build, words)


def test_damaged_artifact_is_refused_by_file_before_anything_starts(
    arguments: dict[str, object],
) -> None:
    artifact = Path(str(arguments["artifact"]))
    (artifact / "btyd.json").write_text("{}")
    with pytest.raises(ValueError, match="damaged: btyd.json"):
        new_application(ServeArguments.model_validate(arguments))
    write_manifest(artifact, "member", Manifest(identity="one"))
    with pytest.raises(ValueError, match="'member', not 'artifact'"):
        new_application(ServeArguments.model_validate(arguments))
    (artifact / "manifest.json").unlink()
    with pytest.raises(ValueError, match="incomplete"):
        new_application(ServeArguments.model_validate(arguments))
    assert not ray.is_initialized()


def test_serve_run_ends_in_one_line_where_it_could_not_answer(
    arguments: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"^serving.app: .*nowhere does not exist"):
        build(arguments | {"artifact": tmp_path / "nowhere"})


def test_missing_events_and_keys_are_refused_before_anything_starts(
    arguments: dict[str, object], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="nowhere does not exist"):
        new_application(ServeArguments.model_validate(arguments | {"events": tmp_path / "nowhere"}))
    with pytest.raises(ValueError, match="holds no API key"):
        new_application(ServeArguments.model_validate(arguments | {"keys": tmp_path / "none.json"}))
    assert not ray.is_initialized()


def test_state_of_another_artifact_or_of_other_data_is_refused_before_anything_starts(
    arguments: dict[str, object], tmp_path: Path
) -> None:
    state = write_state(tmp_path / "state", part_of({"customer_id": "c1", "clv": 1.0}))
    with pytest.raises(SystemExit, match=r"^serving.app: state .* was made by another artifact"):
        build(arguments | {"state": state})
    manifest = read_artifact_manifest(Path(str(arguments["artifact"])))
    files = fingerprint(manifest.files)
    rewrite_manifest(state, artifact=manifest.identity, artifact_files=files)
    with pytest.raises(SystemExit, match=r"^serving.app: state .* was made of other data"):
        build(arguments | {"state": state})
    data = read_data_manifest(Path(str(arguments["events"])))
    rewrite_manifest(state, data=data.identity, num_customers=2)
    with pytest.raises(SystemExit, match=r"^serving.app: state .* is damaged"):
        build(arguments | {"state": state})
    rewrite_manifest(state, format_version=99)
    with pytest.raises(SystemExit, match=r"^serving.app: .* has format version 99"):
        build(arguments | {"state": state})
    assert not ray.is_initialized()


def test_logs_that_cannot_be_used_are_refused_before_anything_starts(
    arguments: dict[str, object], tmp_path: Path
) -> None:
    for url, words in (
        ("log.db", "must be sqlite:///PATH or postgresql://"),
        (f"sqlite:///{tmp_path}/none/log.db", "none does not exist"),
        ("postgresql://me:secret@127.0.0.1:1/d", "cannot be used"),
    ):
        with pytest.raises(SystemExit, match=words) as error:
            build(arguments | {"log": url})
        assert "secret" not in str(error.value)
    assert not ray.is_initialized()


def test_data_older_than_the_tombstones_and_a_missing_key_are_refused_before_anything_starts(
    arguments: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key, tombstones = tmp_path / "erasure.json", tmp_path / "tombstones.json"
    create_keys(key, datetime.now(UTC))
    url = f"sqlite:///{tmp_path / 'log.db'}"
    found = erase(make_log(url, key), "c1", datetime.now(UTC))
    named = arguments | {"log": url, "erasure_key": tmp_path / "none.json"}
    with pytest.raises(SystemExit, match=r"none.json does not exist.*training.erase.key create"):
        build(named)
    data = tmp_path / "data"
    copytree(Path(str(arguments["events"])), data)
    warn_of_erasures(data, read_data_manifest(data), open_log(url, key))
    assert "1 customers of the log are erased, and" in caplog.text
    erasure = {"generation": 0, "tombstones": str(tombstones), "key": str(key)}
    rewrite_manifest(data, erasure=erasure)
    write_tombstones(tombstones, Tombstones().with_others([found.tombstone]))
    with pytest.raises(SystemExit, match=r"1 erased customers may still .*run python -m training"):
        build(arguments | {"events": data})
    rewrite_manifest(data, erasure=erasure | {"generation": 1})
    key.unlink()
    with pytest.raises(SystemExit, match=r"erasure.json does not exist"):
        build(arguments | {"events": data})
    assert not ray.is_initialized()


def test_log_that_another_service_writes_is_refused_before_anything_starts(
    arguments: dict[str, object], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    register(make_log(url), this_process("cluster/other"))
    with pytest.raises(SystemExit, match="belongs to another service: end that service first"):
        build(arguments | {"log": url})
    assert not ray.is_initialized()


def test_port_in_use_is_refused_before_anything_starts(arguments: dict[str, object]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 cannot be used"):
            new_application(ServeArguments.model_validate(arguments | {"port": port}))
    assert not ray.is_initialized()
    require_free_port("127.0.0.1", port)


def test_haproxy_brings_two_more_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_SERVE_ENABLE_HA_PROXY", raising=False)
    assert haproxy_ports() == ()
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", "1234")
    assert haproxy_ports() == (9101, 1234)


def test_we_refuse_before_serve_does() -> None:
    arguments = ServeArguments(artifact=Path("a"), events=Path("b"), max_in_flight=7)
    assert api_settings(arguments).max_in_flight == 7
    gateway = gateway_deployment(arguments)
    assert gateway.max_ongoing_requests == gateway.max_queued_requests == 28
    refusal = gateway.backpressure_config
    assert (refusal.status_code, refusal.retry_after_s) == (429, 1)


def test_serve_yaml_has_no_key_that_serve_would_drop() -> None:
    tree = yaml.safe_load(SERVE_YAML.read_text())
    ServeDeploySchema.model_validate(tree)

    def assert_known(keys: dict[str, object], model: type[BaseModel]) -> None:
        assert set(keys) <= set(model.model_fields)

    assert_known(tree, ServeDeploySchema)
    assert_known(tree["http_options"], HTTPOptionsSchema)
    [application] = tree["applications"]
    assert_known(application, ServeApplicationSchema)
    for deployment in application["deployments"]:
        assert_known(deployment, DeploymentSchema)
        assert_known(deployment["autoscaling_config"], AutoscalingConfig)


def test_serve_yaml_scales_every_deployment_within_what_the_gateway_admits() -> None:
    [application] = yaml.safe_load(SERVE_YAML.read_text())["applications"]
    arguments = ServeArguments.model_validate(application["args"])
    assert {deployment["name"] for deployment in application["deployments"]} == {
        "Gateway",
        "ValueModel",
        "Recommender",
    }
    for deployment in application["deployments"]:
        scaling = deployment["autoscaling_config"]
        assert 2 <= scaling["min_replicas"] < scaling["max_replicas"]
        assert scaling["target_ongoing_requests"] < arguments.max_in_flight
        assert scaling["upscale_delay_s"] < scaling["downscale_delay_s"]
