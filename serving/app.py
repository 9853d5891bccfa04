"""`serve run serving.app:build artifact=PATH events=PATH state=PATH log=URL`: check everything, then start."""

import logging
import os
import socket
from pathlib import Path
from uuid import uuid4

import ray
from pydantic import Field, ValidationError
from ray import serve
from ray.serve import Application, Deployment
from ray.serve.exceptions import RayServeException

from lifecycle.artifact.contents import Artifact, check_currency
from lifecycle.artifact.files import load_artifact
from lifecycle.config import Config, describe
from lifecycle.erasure.current import REMEDY, require_as_current, require_current
from lifecycle.erasure.tombstones import Tombstones, read_tombstones
from lifecycle.events.shards import DataManifest, read_data_manifest
from lifecycle.folders import fingerprint
from lifecycle.log.database import Log
from lifecycle.log.opening import make_log
from lifecycle.log.problems import LogUnavailable
from lifecycle.log.reader import all_tombstones
from lifecycle.log.services import require_no_other, require_one_host
from lifecycle.state.files import STATE_KIND, check_made_for
from lifecycle.state.lookup import CustomerState
from serving.api.admission import ApiSettings
from serving.api.errors import RETRY_AFTER_SECONDS
from serving.api.fields import Limits
from serving.deployments import (
    ArtifactSource,
    Gateway,
    LogSource,
    Recommender,
    StateSource,
    ValueModel,
)
from serving.handles import Served
from serving.keys import default_path, require_keys
from serving.predict.description import describe as describe_artifact
from serving.store.events import EventStore

logger = logging.getLogger(__name__)
# Replicas of a new version start before those of the old one end: two become three for a while.
SURGE_PERCENT = 50
# Fast replicas talk over gRPC, which refuses what is larger than 4 MB: histories of fifty good customers are.
LARGE_MESSAGES = {"env_vars": {"RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(2**31 - 1)}}


class ServeArguments(Config):
    """Arguments of the builder: words of the command line, or `args` in cluster/serve.yaml.

    `host` and `port` hold where `serve run` starts Serve; a deployed config says them in
    http_options.
    """

    artifact: Path
    events: Path  # the ingest folder
    state: Path | None = None  # of customers, made by training.score of these data by this artifact
    log: str | None = None  # of events over HTTP: sqlite:///PATH or postgresql://USER@HOST/DATABASE
    keys: Path = Field(default_factory=default_path)
    # With which erased customers are hashed; None: that of EVERVALUE_ERASURE_KEY, else in the user's folder.
    erasure_key: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    max_customers: int = Field(default=256, ge=1)  # of one request
    max_events: int = Field(default=10_000, ge=1)  # of one customer of a request
    max_body_bytes: int = Field(default=8 * 2**20, ge=1)
    # Requests admitted by each gateway; the next one gets 429.
    max_in_flight: int = Field(default=64, ge=1)
    timeout_seconds: float = Field(default=30.0, gt=0)
    max_batch_customers: int = Field(default=64, ge=1)
    batch_wait_seconds: float = Field(default=0.005, ge=0)
    # Sent to each replica of a model; the rest wait in the gateway.
    max_ongoing_requests: int = Field(default=32, ge=1)
    # Of each model and of the gateway; serve.yaml autoscales them instead. With two, one may die.
    replicas: int = Field(default=2, ge=1)
    # Six replicas fit two cores: what Serve counts is no limit of what a replica uses.
    replica_cpus: float = Field(default=0.25, gt=0)
    gateway_cpus: float = Field(default=0.25, gt=0)


def build(words: dict[str, object]) -> Application:
    """The Serve application of `key=value` words; one line in place of a traceback where it could not answer.

    `serve run` ends with it, and `serve status` shows it of what `serve deploy` sent. Were the
    parameter a ServeArguments, Serve would check it itself, and end in pydantic's traceback.
    """
    try:
        return new_application(read_arguments(words))
    except (ValueError, LogUnavailable) as error:
        line = f"serving.app: {error}"
    if ray.is_initialized():  # a task of the cluster, in which Serve builds what is deployed
        raise RayServeException(line)
    raise SystemExit(line)


def read_arguments(words: dict[str, object]) -> ServeArguments:
    """The arguments in words. ValueError with the name of each that is unknown, missing or wrong."""
    try:
        return ServeArguments.model_validate(words)
    except ValidationError as error:
        raise ValueError(describe(error)) from None


def new_application(arguments: ServeArguments) -> Application:
    """The Serve application. ValueError, before anything starts, where it could not answer."""
    artifact = arguments.artifact.absolute()
    events = arguments.events.absolute()
    keys = arguments.keys.absolute()
    key = None if arguments.erasure_key is None else arguments.erasure_key.absolute()
    data = read_data_manifest(events)
    loaded = load_artifact(artifact)
    check_currency(loaded, data)
    require_current(events, data.erasure)
    state = None if arguments.state is None else usable_state(arguments.state, loaded, data)
    log = None if arguments.log is None else usable_log(arguments.log, key)
    warn_of_erasures(events, data, log)
    EventStore(events, log)
    require_keys(keys)
    if not ray.is_initialized():
        start_serve(arguments.host, arguments.port)
    if log is not None:
        require_one_host(log, sum(node["Alive"] for node in ray.nodes()))
    source = ArtifactSource.of(artifact)
    value_model = model_deployment(ValueModel, arguments)
    recommender = model_deployment(Recommender, arguments)
    return gateway_deployment(arguments).bind(
        api_settings(arguments),
        str(keys),
        str(events),
        value_model.bind(source, arguments.max_batch_customers, arguments.batch_wait_seconds),
        recommender.bind(source),
        Served(describe_artifact(loaded), loaded.data_end, uuid4().hex),
        None if log is None else LogSource(log.url, log.identity, key),
        state,
    )


def usable_state(state: Path, artifact: Artifact, data: DataManifest) -> StateSource:
    """Customer state that can be mapped; ValueError where it is of another artifact or of other data."""
    folder = state.absolute()
    manifest = artifact.manifest
    files = fingerprint(manifest.files)
    found = check_made_for(folder, artifact=manifest.identity, artifact_files=files, data=data)
    require_as_current(folder, STATE_KIND, data.erasure)
    CustomerState(folder)
    return StateSource(str(folder), found.identity)


def usable_log(url: str, key: Path | None) -> Log:
    """The log at a URL, made where there is none; ValueError where another service writes it, or `key` is missing."""
    log = make_log(url, key)
    running = ray.is_initialized()
    require_no_other(log, ray.get_runtime_context().gcs_address if running else None)
    return log


def warn_of_erasures(events: Path, data: DataManifest, log: Log | None) -> None:
    """Of customers who are erased over HTTP alone: they get no answer, and the data may hold them still."""
    if log is None or not (found := all_tombstones(log)):
        return
    known = Tombstones() if data.erasure is None else read_tombstones(data.erasure.tombstones)
    pending = known.with_others(found).since(known.generation)
    if pending:
        logger.warning(
            "%d customers of the log are erased, and %s may hold them still: %s",
            len(pending),
            events,
            REMEDY,
        )


def api_settings(arguments: ServeArguments) -> ApiSettings:
    """Limits of each gateway."""
    return ApiSettings(
        limits=Limits(arguments.max_customers, arguments.max_events),
        max_body_bytes=arguments.max_body_bytes,
        max_in_flight=arguments.max_in_flight,
        timeout_seconds=arguments.timeout_seconds,
    )


def model_deployment(model: type, arguments: ServeArguments) -> Deployment:
    """A model as Serve runs it. Each gateway queues for it at most the requests that it admits."""
    return serve.deployment(
        model,
        num_replicas=arguments.replicas,
        max_ongoing_requests=arguments.max_ongoing_requests,
        max_queued_requests=arguments.max_in_flight,
        max_surge_percent=SURGE_PERCENT,
        ray_actor_options={"num_cpus": arguments.replica_cpus, "runtime_env": LARGE_MESSAGES},
    )


def gateway_deployment(arguments: ServeArguments) -> Deployment:
    """The gateway. Serve's own limits lie above ours, so that it is we who refuse, and quickly."""
    room = 4 * arguments.max_in_flight
    return serve.deployment(
        serve.ingress()(Gateway),
        num_replicas=arguments.replicas,
        max_ongoing_requests=room,
        max_queued_requests=room,
        max_surge_percent=SURGE_PERCENT,
        backpressure_config={"status_code": 429, "retry_after_s": RETRY_AFTER_SECONDS},
        ray_actor_options={"num_cpus": arguments.gateway_cpus, "runtime_env": LARGE_MESSAGES},
    )


def start_serve(host: str, port: int) -> None:
    """Start Serve on one address. Left to itself it binds every interface when HAProxy is on."""
    for number in (port, *haproxy_ports()):
        require_free_port(host, number)
    serve.start(http_options={"host": host, "port": port})


def haproxy_ports() -> tuple[int, ...]:
    """Ports that Serve's HAProxy opens beside the API: metrics and statistics."""
    if os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") != "1":
        return ()
    return (
        int(os.environ.get("RAY_SERVE_HAPROXY_METRICS_PORT", "9101")),
        int(os.environ.get("RAY_SERVE_HAPROXY_STATS_PORT", "8404")),
    )


def require_free_port(host: str, port: int) -> None:
    """ValueError where something listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"port {port} of {host} cannot be used ({error.strerror}); stop what listens there, or choose another"
            ) from None
