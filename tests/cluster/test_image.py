"""The image, and that every manifest names it and one version of Ray."""

import re
import tomllib
from importlib import metadata

from tests.builders import REPOSITORY
from tests.cluster.manifests import CLUSTER, KUBERAY, cluster_of, containers_of, pods_of, read

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
IMAGE = f"{PROJECT['name']}:{PROJECT['version']}"


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
