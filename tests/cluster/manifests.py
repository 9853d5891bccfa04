"""How tests read the manifests of the cluster."""

import re
from collections.abc import Iterator

import yaml

from tests.builders import REPOSITORY

CLUSTER = REPOSITORY / "cluster"
KUBERAY = ("kuberay/rayjob.yaml", "kuberay/rayservice.yaml")
Manifest = dict[str, object]


def read(name: str) -> Manifest:
    content = yaml.safe_load((CLUSTER / name).read_text())
    assert isinstance(content, dict)
    return content


def arguments_of(name: str) -> set[str]:
    """Of the builder of the service, those among them that stand there as comments."""
    block = re.search(
        r"^( +)args:\n((?:\1 +.*\n)+)", (CLUSTER / name).read_text(), flags=re.MULTILINE
    )
    assert block is not None
    return set(re.findall(r"^ +(?:# )?(\w+): ", block[2], flags=re.MULTILINE))


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
