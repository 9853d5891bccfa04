"""cluster/start.sh and cluster/submit.sh, with a `ray` in place that writes down how it was called."""

import json
import os
import re
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.builders import REPOSITORY
from tests.cluster.manifests import CLUSTER
from training.pipeline.job import SERVE_FLAGS

SCRIPTS = sorted(CLUSTER.glob("*.sh"))
FLAGS = (*SERVE_FLAGS, "RAY_AUTH_MODE")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_parses_and_may_be_run(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert script.stat().st_mode & stat.S_IXUSR


def stand_in(
    folder: Path,
    jobs: str = "[]",
    *,
    status: int = 0,
    without_token: str = "Authentication required",
) -> dict[str, str]:
    """An environment in which `ray` writes down how it was called.

    `jobs` and `status` are what `ray job list` says with a token; `without_token` is what it says
    otherwise, and fails with, unless it is empty.
    """
    folder.mkdir()
    body = f"""#!/usr/bin/env python3
import json, os, sys
if sys.argv[1:3] == ["job", "list"]:
    has_token = os.environ["RAY_AUTH_MODE"] == "token"
    print({jobs!r} if has_token else {without_token!r})
    sys.exit({status} if has_token else {int(bool(without_token))})
if sys.argv[1] == "get-auth-token":
    print("SECRET")
flags = {{name: os.environ.get(name) for name in {FLAGS!r}}}
with open({str(folder / "calls.jsonl")!r}, "a") as calls:
    calls.write(json.dumps({{"words": sys.argv[1:], "flags": flags}}) + "\\n")
"""
    (folder / "ray").write_text(body)
    (folder / "ray").chmod(0o755)
    return os.environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1",
        "RAY_AUTH_TOKEN": "SECRET",
        "CALLS": str(folder / "calls.jsonl"),
    }


def calls_of(environment: dict[str, str]) -> list[dict[str, object]]:
    path = Path(environment["CALLS"])
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_script(
    name: str, *arguments: str, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(CLUSTER / name), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd="/")


def test_start_makes_a_token_and_tells_in_three_lines_what_is_next(tmp_path: Path) -> None:
    environment = stand_in(tmp_path / "bin")
    result = run_script("start.sh", "--dashboard-port=1", "--num-cpus=7", environment=environment)
    assert result.returncode == 0, result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "submit",
        "dashboard",
        "stop",
    ]
    assert "SECRET" not in result.stdout + result.stderr
    make, start = calls_of(environment)
    assert make["words"] == ["get-auth-token", "--generate"]
    words = start["words"]
    assert isinstance(words, list) and words[:2] == ["start", "--head"]
    assert "--dashboard-host=127.0.0.1" in words and words[-1] == "--num-cpus=7"
    assert start["flags"] == SERVE_FLAGS | {"RAY_AUTH_MODE": "token"}


def test_start_refuses_a_port_that_is_taken(tmp_path: Path) -> None:
    environment = stand_in(tmp_path / "bin")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_script("start.sh", f"--dashboard-port={port}", environment=environment)
    assert result.returncode == 2 and f"port {port} is taken" in result.stderr
    assert not calls_of(environment)


def test_service_gets_the_flags_of_make_serve() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    assert set(re.findall(r"(RAY_SERVE_\w+)=(\w+)", makefile)) == set(SERVE_FLAGS.items())


def test_submit_hands_the_command_to_ray(tmp_path: Path) -> None:
    environment = stand_in(tmp_path / "bin")
    run_script(
        "submit.sh", "one", "--", "python", "-m", "training.run", "a b", environment=environment
    )
    (call,) = calls_of(environment)
    words = call["words"]
    assert isinstance(words, list)
    assert words[:4] == ["job", "submit", "--submission-id", "one"]
    assert words[words.index("--") + 1 :] == ["python", "-m", "training.run", "a b"]
    assert words[words.index("--entrypoint-num-cpus") + 1] == "0"
    assert (REPOSITORY / words[words.index("--runtime-env") + 1]).is_file()


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
    environment = stand_in(tmp_path / "bin") | changes
    result = run_script("submit.sh", *arguments, environment=environment)
    assert result.returncode == 2 and message in result.stderr
    assert not calls_of(environment)


@pytest.mark.parametrize(
    ("without_token", "with_token", "message"),
    [
        ("refused", "refused", "no Ray cluster answers at http://127.0.0.1:1"),
        ("", "[]", "lets in anybody without a token"),
        ("Authentication required", "Authentication failed", "wrong token: that in RAY_AUTH_TOKEN"),
        ("Authentication required", "couldn't find an authentication token", "no token: put"),
    ],
)
def test_submit_says_in_one_line_why_a_cluster_is_not_used(
    tmp_path: Path, without_token: str, with_token: str, message: str
) -> None:
    environment = stand_in(tmp_path / "bin", with_token, status=1, without_token=without_token)
    result = run_script("submit.sh", "one", "--", "true", environment=environment)
    assert result.returncode == 2 and not calls_of(environment)
    (line,) = result.stderr.splitlines()
    assert message in line and "SECRET" not in line


def test_submit_refuses_a_name_that_is_taken(tmp_path: Path) -> None:
    environment = stand_in(tmp_path / "bin", "JobDetails(submission_id='one', ...)")
    taken = run_script("submit.sh", "one", "--", "true", environment=environment)
    assert taken.returncode == 2 and "has a job 'one' already" in taken.stderr
    assert run_script("submit.sh", "on", "--", "true", environment=environment).returncode == 0
