"""Stages as jobs of a running Ray cluster, and the service deployed there."""

import logging
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.config import Tree
from lifecycle.yaml_files import read_yaml
from training.evaluate.recipe import EvaluateConfig
from training.pipeline.recipe import EVALUATE, PipelineConfig, Stage

if TYPE_CHECKING:
    from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

logger = logging.getLogger(__name__)
SUBMIT = Path(__file__).parents[2] / "cluster" / "submit.sh"
UNFINISHED = ("PENDING", "RUNNING")
DEPLOY_DEADLINE_SECONDS = 600
SECONDS_BETWEEN_LOOKS = 2.0
DEPLOY_TRIALS = 3


def run_as_jobs(config: PipelineConfig) -> None:
    """Submit the stages one after another to the cluster of RAY_API_SERVER_ADDRESS, then deploy.

    Raises ValueError where a recipe is missing, no cluster lets us in, a stage runs already or
    fails, and where the service does not start.
    """
    address = os.environ.get("RAY_API_SERVER_ADDRESS")
    if not address:
        raise ValueError(
            "no cluster: set RAY_API_SERVER_ADDRESS=http://HEAD:8265 (on this machine: cluster/start.sh)"
        )
    os.environ["RAY_AUTH_MODE"] = "token"  # read where Ray is imported
    require_recipes(config)
    service = None if config.deploy is None else service_config(config.deploy, config.stages)
    for number, stage in enumerate(config.stages, 1):
        job_id = next_id(f"{config.name}-{stage.name}", jobs_of(address))
        logger.info("stage %d/%d: %s, as job %s", number, len(config.stages), stage.name, job_id)
        submit(job_id, stage)
    if service is not None:
        deploy(service, address)


def require_recipes(config: PipelineConfig) -> None:
    """ValueError where a recipe that is uploaded with the code is not here.

    Absolute paths lie on storage of the cluster, which this machine need not see.
    """
    for path in [config.deploy, *(stage.config for stage in config.stages)]:
        if path is not None and not path.is_absolute() and not path.is_file():
            raise ValueError(f"recipe {path} does not exist in {Path.cwd()}")


def next_id(wanted: str, statuses: dict[str, str]) -> str:
    """The first of `wanted`, `wanted-2`, `wanted-3`, ... that no job of the cluster has.

    A stage that has succeeded is submitted again: its job passes over what is complete. Raises
    ValueError where one of these jobs has not ended.
    """
    attempt = 1
    job_id = wanted
    while job_id in statuses:
        if statuses[job_id] in UNFINISHED:
            raise ValueError(
                f"job {job_id} is {statuses[job_id]} already; "
                f"ray job logs --follow {job_id} | ray job stop {job_id}"
            )
        attempt += 1
        job_id = f"{wanted}-{attempt}"
    return job_id


def jobs_of(address: str) -> dict[str, str]:
    """The status of every job that was submitted to the cluster, by its id.

    Raises ValueError where no cluster answers, or it refuses our token.
    """
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        jobs = JobSubmissionClient(address).list_jobs()
    except AuthenticationError:
        raise ValueError(
            f"the token in ~/.ray/auth_token or RAY_AUTH_TOKEN is not that of the cluster at {address}"
        ) from None
    except (ConnectionError, RuntimeError):
        raise ValueError(
            f"no Ray cluster answers at RAY_API_SERVER_ADDRESS {address}; start one with cluster/start.sh"
        ) from None
    return {job.submission_id: job.status.value for job in jobs if job.submission_id}


def submit(job_id: str, stage: Stage) -> None:
    """Run a stage as a job to its end, following its log."""
    words = ["python", "-m", stage.module, "--config", str(stage.config)]
    if subprocess.run([SUBMIT, job_id, "--", *words], check=False).returncode:
        raise ValueError(f"stage {stage.name} failed as job {job_id}; what it said stands above")


def service_config(path: Path, stages: tuple[Stage, ...]) -> Tree:
    """The Serve config in a file with the artifact that evaluate writes, and the events it read."""
    from ray.serve.schema import ServeDeploySchema

    (arena,) = [stage for stage in stages if stage.module == EVALUATE]
    recipe = EvaluateConfig.load(arena.config)
    schema = ServeDeploySchema.model_validate(read_yaml(path))
    (application,) = schema.applications
    application.args = application.args | {
        "artifact": str(recipe.output / "artifact"),
        "events": str(recipe.data),
    }
    content: Tree = schema.model_dump(exclude_unset=True)
    return content


def deploy(service: Tree, address: str) -> None:
    """What `serve deploy` does; returns once the service runs, and raises ValueError where it does not."""
    from ray.dashboard.modules.serve.sdk import ServeSubmissionClient

    client = ServeSubmissionClient(address)
    _ask_for(client, service)
    give_up_at = time.monotonic() + DEPLOY_DEADLINE_SECONDS
    while True:
        ((name, application),) = client.get_serve_details()["applications"].items()
        if application["status"] == "RUNNING":
            logger.info(
                "%s runs on the cluster; look at it with: serve status --address %s", name, address
            )
            return
        if application["status"] in ("DEPLOY_FAILED", "UNHEALTHY"):
            reason = application["message"].strip().splitlines()[-1]
            raise ValueError(f"{name} was not deployed: {reason}")
        if time.monotonic() > give_up_at:
            raise ValueError(f"{name} is {application['status']} after {DEPLOY_DEADLINE_SECONDS} s")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _ask_for(client: "ServeSubmissionClient", service: Tree) -> None:
    """Say what shall run, again where Serve stumbles while it starts itself; ValueError where it stays so."""
    for trial in range(1, DEPLOY_TRIALS + 1):
        try:
            client.deploy_applications(service)
        except RuntimeError as error:
            reason = [line for line in str(error).splitlines() if line.strip(" .")][-1].strip()
            if trial == DEPLOY_TRIALS or "status code 5" not in str(error).splitlines()[0]:
                raise ValueError(f"Serve did not take the application: {reason}") from None
            logger.warning("Serve did not take the application, asking again: %s", reason)
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            return
