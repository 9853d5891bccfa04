"""Cluster manifests agree with each other, with the pinned packages and with what Ray and KubeRay accept."""

import json
import os
import re
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from tests.builders import REPOSITORY
from training.distributed.cluster import worker_environment

CLUSTER = REPOSITORY / "cluster"
SCRIPTS = sorted(CLUSTER.glob("*.sh"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
IMAGE = f"{PROJECT['name']}:{PROJECT['version']}"
Manifest = dict[str, object]

# Fields of ray.io/v1 (KubeRay 1.7) that may stand in our manifests; what Kubernetes does not know it drops silently.
RAY_CLUSTER_FIELDS = {
    "authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions", "headGroupSpec",
    "headServiceAnnotations", "rayVersion", "suspend", "upgradeStrategy", "workerGroupSpecs",
}  # fmt: skip
RAY_JOB_FIELDS = {
    "activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint", "entrypointNumCpus",
    "entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata", "rayClusterSpec", "runtimeEnvYAML",
    "shutdownAfterJobFinishes", "submissionMode", "submitterConfig", "submitterPodTemplate", "suspend",
    "ttlSecondsAfterFinished",
}  # fmt: skip
RAY_SERVICE_FIELDS = {
    "excludeHeadPodFromServeSvc", "managedBy", "rayClusterConfig", "rayClusterDeletionDelaySeconds", "serveConfigV2",
    "serveService", "suspend", "upgradeStrategy",
}  # fmt: skip
HEAD_FIELDS = {
    "enableIngress",
    "headService",
    "labels",
    "rayStartParams",
    "resources",
    "serviceType",
    "template",
}
WORKER_FIELDS = {
    "groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "numOfHosts", "rayStartParams",
    "replicas", "resources", "scaleStrategy", "suspend", "template",
}  # fmt: skip
AUTOSCALER_FIELDS = {
    "idleTimeoutSeconds",
    "image",
    "resources",
    "securityContext",
    "upscalingMode",
    "version",
}
POD_FIELDS = {"containers", "initContainers", "restartPolicy", "securityContext", "volumes"}
CONTAINER_FIELDS = {
    "command", "image", "imagePullPolicy", "name", "ports", "resources", "securityContext", "volumeMounts",
}  # fmt: skip


def read(name: str) -> Manifest:
    content = yaml.safe_load((CLUSTER / name).read_text())
    assert isinstance(content, dict)
    return content


def cluster_of(name: str) -> Manifest:
    spec = read(name)["spec"]
    assert isinstance(spec, dict)
    cluster = spec.get("rayClusterSpec") or spec.get("rayClusterConfig")
    assert isinstance(cluster, dict)
    return cluster


def groups_of(cluster: Manifest) -> list[Manifest]:
    head, workers = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert isinstance(head, dict) and isinstance(workers, list)
    return [head, *workers]


def pods_of(name: str) -> Iterator[Manifest]:
    for group in groups_of(cluster_of(name)):
        template = group["template"]
        assert isinstance(template, dict)
        yield template["spec"]


def containers_of(pod: Manifest) -> list[Manifest]:
    plain, first = pod["containers"], pod.get("initContainers", [])
    assert isinstance(plain, list) and isinstance(first, list)
    return [*plain, *first]


KUBERAY = ["kuberay/rayjob.yaml", "kuberay/rayservice.yaml"]


def test_one_ray_version_everywhere() -> None:
    pinned = re.search(r"^ray==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned and pinned[1] == metadata.version("ray")
    for name in KUBERAY:
        assert cluster_of(name)["rayVersion"] == pinned[1]


def test_one_image_everywhere() -> None:
    docker = read("ray_cluster.yaml")["docker"]
    assert isinstance(docker, dict) and docker["image"] == IMAGE
    for name in KUBERAY:
        for pod in pods_of(name):
            assert {container["image"] for container in containers_of(pod)} == {IMAGE}
    assert f"docker build -t {IMAGE} " in (CLUSTER / "Dockerfile").read_text()


def test_image_has_the_pinned_packages_a_known_python_and_no_root() -> None:
    lines = (CLUSTER / "Dockerfile").read_text().splitlines()
    base = next(line for line in lines if line.startswith("FROM "))
    python = re.fullmatch(r"FROM python:(\d+\.\d+)-slim", base)
    assert python and f">={python[1]}" == PROJECT["requires-python"]
    torch = re.search(r"^torch==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE)
    assert torch and any(
        f"--constraint constraints.txt torch=={torch[1]}" in line for line in lines
    )
    assert any("--requirement constraints.txt" in line for line in lines)
    assert "USER ray" in lines
    for line in lines:
        if line.startswith("COPY "):
            *sources, _ = line.removeprefix("COPY ").split()
            assert all((REPOSITORY / source).exists() for source in sources), line


def test_image_gets_every_file_it_copies() -> None:
    kept = {
        line[1:]
        for line in (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
        if line[0] == "!"
    }
    copies = re.findall(r"^COPY (.+) \S+$", (CLUSTER / "Dockerfile").read_text(), re.MULTILINE)
    assert {source for line in copies for source in line.split()} == kept


def test_ray_accepts_the_cluster_for_ray_up() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(read("ray_cluster.yaml"))
    validate_config(config)
    assert set(config["available_node_types"]) == {"head", "gpu_worker"}
    assert config["head_node_type"] == "head"


def test_runtime_environment_is_valid_and_says_nothing_twice() -> None:
    from ray.runtime_env import RuntimeEnv

    environment = read("runtime_env.yaml")
    RuntimeEnv(**environment)
    variables = environment["env_vars"]
    assert isinstance(variables, dict)
    assert not set(variables) & set(
        worker_environment()
    )  # Ray refuses a job and a driver that both set one


@pytest.mark.parametrize(
    ("name", "kind", "fields"),
    [(KUBERAY[0], "RayJob", RAY_JOB_FIELDS), (KUBERAY[1], "RayService", RAY_SERVICE_FIELDS)],
)
def test_kuberay_manifest_has_only_fields_of_its_kind(
    name: str, kind: str, fields: set[str]
) -> None:
    manifest = read(name)
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", kind)
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    spec, cluster = manifest["spec"], cluster_of(name)
    assert isinstance(spec, dict) and set(spec) <= fields
    assert set(cluster) <= RAY_CLUSTER_FIELDS
    assert set(cluster["autoscalerOptions"]) <= AUTOSCALER_FIELDS  # type: ignore[call-overload]
    head, *workers = groups_of(cluster)
    assert set(head) <= HEAD_FIELDS
    assert all(set(worker) <= WORKER_FIELDS for worker in workers)
    for pod in pods_of(name):
        assert set(pod) <= POD_FIELDS
        assert all(set(container) <= CONTAINER_FIELDS for container in containers_of(pod))


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_cluster_is_guarded_sized_and_scales(name: str) -> None:
    cluster = cluster_of(name)
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    for worker in groups_of(cluster)[1:]:
        assert worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]  # type: ignore[operator]
    for pod in pods_of(name):
        assert pod["securityContext"]["runAsNonRoot"] is True  # type: ignore[index]
        main = pod["containers"][0]  # type: ignore[index]
        assert main["resources"]["requests"] == main["resources"]["limits"]
        volumes = {volume["name"] for volume in pod["volumes"]}  # type: ignore[attr-defined]
        for container in containers_of(pod):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes  # type: ignore[attr-defined]


def test_training_job_asks_for_as_many_gpus_as_its_recipe() -> None:
    from training.tasks.recipes.union import load_recipe

    spec = read("kuberay/rayjob.yaml")["spec"]
    assert isinstance(spec, dict)
    words = spec["entrypoint"].split()
    assert words[:4] == ["python", "-m", "training.run", "--config"]
    recipe = load_recipe(REPOSITORY / words[4], words[5:])
    worker = groups_of(cluster_of("kuberay/rayjob.yaml"))[1]
    limits = next(iter(worker["template"]["spec"]["containers"]))["resources"]["limits"]  # type: ignore[index]
    assert worker["replicas"] * int(limits["nvidia.com/gpu"]) == recipe.num_workers  # type: ignore[operator]
    assert worker["replicas"] * int(limits["cpu"]) >= recipe.num_workers * recipe.cpus_per_worker  # type: ignore[operator]


def test_service_on_kubernetes_is_the_one_of_serve_yaml() -> None:
    from ray.serve.schema import ServeDeploySchema

    spec = read("kuberay/rayservice.yaml")["spec"]
    assert isinstance(spec, dict)
    there, here = yaml.safe_load(spec["serveConfigV2"]), read("serve.yaml")
    ServeDeploySchema.model_validate(there)
    (ours,), (theirs,) = here["applications"], there["applications"]  # type: ignore[misc]
    assert set(there) <= set(here)
    for key in ("name", "route_prefix", "import_path"):
        assert theirs[key] == ours[key]
    assert set(ours["args"]) <= set(theirs["args"])
    names = [[(item["name"], set(item)) for item in app["deployments"]] for app in (ours, theirs)]
    assert names[0] == names[1]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_parses_and_may_be_run(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.stat().st_mode & stat.S_IXUSR


def stand_ins(folder: Path, jobs: str = "[]", status: int = 0) -> dict[str, str]:
    """An environment in which `ray` and `serve` write down how they were called."""
    folder.mkdir()
    calls = folder / "calls.jsonl"
    body = f"""#!/usr/bin/env python3
import json, sys
if sys.argv[1:3] == ["job", "list"]:
    print({jobs!r})
    sys.exit({status})
line = [sys.argv[0].rsplit("/", 1)[-1], *sys.argv[1:]]
if "deploy" in sys.argv:
    line.append(open(sys.argv[-1]).read())
open({str(calls)!r}, "a").write(json.dumps(line) + "\\n")
"""
    for name in ("ray", "serve"):
        (folder / name).write_text(body)
        (folder / name).chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {
        "PATH": path,
        "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1",
        "CALLS": str(calls),
    }


def calls_of(environment: dict[str, str]) -> list[list[str]]:
    path = Path(environment["CALLS"])
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_script(
    name: str, *arguments: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(CLUSTER / name), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")


def test_submit_hands_the_command_to_ray(tmp_path: Path) -> None:
    environment = stand_ins(tmp_path / "bin")
    run_script(
        "submit.sh", "one", "--", "python", "-m", "training.run", "a b", environment=environment
    )
    (call,) = calls_of(environment)
    assert call[:5] == ["ray", "job", "submit", "--submission-id", "one"]
    assert call[call.index("--") + 1 :] == ["python", "-m", "training.run", "a b"]
    assert (REPOSITORY / call[call.index("--runtime-env") + 1]).is_file()


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (["one", "python"], {}, "usage"),
        (["a/b", "--", "true"], {}, "NAME is 'a/b'"),
        (
            ["one", "--", "true"],
            {"RAY_API_SERVER_ADDRESS": "", "RAY_ADDRESS": ""},
            "no cluster: set",
        ),
    ],
)
def test_submit_explains_what_it_lacks(
    tmp_path: Path, arguments: list[str], changes: dict[str, str], message: str
) -> None:
    environment = stand_ins(tmp_path / "bin") | changes
    result = run_script("submit.sh", *arguments, environment=environment)
    assert result.returncode == 2 and message in result.stderr
    assert not calls_of(environment)


def test_submit_names_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    result = run_script(
        "submit.sh", "one", "--", "true", environment=stand_ins(tmp_path / "bin", "refused", 1)
    )
    assert result.returncode == 2
    assert (
        "refused" in result.stderr
        and "no Ray cluster answers at http://127.0.0.1:1" in result.stderr
    )


def test_submit_refuses_a_name_that_is_taken(tmp_path: Path) -> None:
    environment = stand_ins(tmp_path / "bin", "JobDetails(submission_id='one', ...)")
    taken = run_script("submit.sh", "one", "--", "true", environment=environment)
    assert taken.returncode == 2 and "has a job 'one' already" in taken.stderr
    assert run_script("submit.sh", "on", "--", "true", environment=environment).returncode == 0


def test_pipeline_runs_its_stages_in_order_and_serves_what_evaluate_wrote(tmp_path: Path) -> None:
    environment = stand_ins(tmp_path / "bin")
    result = run_script("pipeline.sh", "today", environment=environment)
    assert result.returncode == 0, result.stderr
    *jobs, deploy = calls_of(environment)
    assert [call[call.index("--submission-id") + 1] for call in jobs] == [
        "today-prepare", "today-tune", "today-train", "today-evaluate",
    ]  # fmt: skip
    assert [call[call.index("--") + 3] for call in jobs] == [
        "training.prepare", "tuning.run", "training.run", "training.evaluate",
    ]  # fmt: skip
    tune = yaml.safe_load((CLUSTER / "configs" / "tune.yaml").read_text())
    assert jobs[2][-1] == f"{tune['output']}/best.yaml"
    evaluate = yaml.safe_load((CLUSTER / "configs" / "evaluate.yaml").read_text())
    assert deploy[:4] == ["serve", "deploy", "--address", "http://127.0.0.1:1"]
    deployed, ours = yaml.safe_load(deploy[-1]), read("serve.yaml")
    (application,) = deployed["applications"]
    assert application["args"]["artifact"] == f"{evaluate['output']}/artifact"
    assert application["args"]["events"] == evaluate["data"]
    assert application["deployments"] == ours["applications"][0]["deployments"]  # type: ignore[index]


def test_recipes_of_the_pipeline_hand_on_to_each_other() -> None:
    names = ("prepare", "train", "tune", "evaluate")
    prepare, train, tune, evaluate = (read(f"configs/{name}.yaml") for name in names)
    assert train["data"] == prepare["data"] == evaluate["data"]
    assert train["examples"] == prepare["output"] == evaluate["examples"]
    assert REPOSITORY / str(tune["base"]) == CLUSTER / "configs" / "train.yaml"
    assert evaluate["members"] == {"text_llama": f"{train['output']}/member"}
