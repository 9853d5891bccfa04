"""Manifests for KubeRay: only fields it knows, guarded, and as large as their recipes ask."""

import pytest
import yaml

from tests.builders import REPOSITORY
from tests.cluster.manifests import (
    KUBERAY,
    arguments_of,
    cluster_of,
    containers_of,
    groups_of,
    pods_of,
    read,
)

# Fields of ray.io/v1 (KubeRay 1.7) that may stand in our manifests; what Kubernetes does not know it drops silently.
RAY_CLUSTER_FIELDS = {
    "authOptions",
    "autoscalerOptions",
    "enableInTreeAutoscaling",
    "gcsFaultToleranceOptions",
    "headGroupSpec",
    "headServiceAnnotations",
    "rayVersion",
    "suspend",
    "upgradeStrategy",
    "workerGroupSpecs",
}
RAY_JOB_FIELDS = {
    "activeDeadlineSeconds",
    "backoffLimit",
    "clusterSelector",
    "deletionStrategy",
    "entrypoint",
    "entrypointNumCpus",
    "entrypointNumGpus",
    "entrypointResources",
    "jobId",
    "managedBy",
    "metadata",
    "rayClusterSpec",
    "runtimeEnvYAML",
    "shutdownAfterJobFinishes",
    "submissionMode",
    "submitterConfig",
    "submitterPodTemplate",
    "suspend",
    "ttlSecondsAfterFinished",
}
RAY_SERVICE_FIELDS = {
    "excludeHeadPodFromServeSvc",
    "managedBy",
    "rayClusterConfig",
    "rayClusterDeletionDelaySeconds",
    "serveConfigV2",
    "serveService",
    "suspend",
    "upgradeStrategy",
}
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
    "groupName",
    "idleTimeoutSeconds",
    "labels",
    "maxReplicas",
    "minReplicas",
    "numOfHosts",
    "rayStartParams",
    "replicas",
    "resources",
    "scaleStrategy",
    "suspend",
    "template",
}
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
    "command",
    "image",
    "imagePullPolicy",
    "name",
    "ports",
    "resources",
    "securityContext",
    "volumeMounts",
}


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
    for deployment in (*ours["deployments"], *theirs["deployments"]):
        del deployment["autoscaling_config"]["max_replicas"]  # a cloud has more room
    assert theirs["deployments"] == ours["deployments"]


def test_services_of_the_cluster_name_the_same_arguments() -> None:
    """Kubernetes says beside them where its secret lies, and how replicas spread."""
    from serving.app import ServeArguments

    ours, theirs = arguments_of("serve.yaml"), arguments_of("kuberay/rayservice.yaml")
    assert ours == {"artifact", "events", "state", "log"}
    assert theirs - ours == {"keys", "replica_cpus"} and ours < theirs
    assert theirs <= set(ServeArguments.model_fields)
