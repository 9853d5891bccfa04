"""One service writes an SQLite log, from one host; any number write PostgreSQL."""

import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from lifecycle.log.database import Log
from lifecycle.log.services import (
    Owner,
    register,
    require_no_other,
    require_one_host,
    this_process,
)


def owner_of(process: "subprocess.Popen[bytes]", service: str) -> Owner:
    started_at = psutil.Process(process.pid).create_time()
    return replace(this_process(service), pid=process.pid, started_at=started_at)


@pytest.fixture
def other() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def test_second_service_is_refused_until_the_first_has_ended(
    sqlite_log: Log, other: "subprocess.Popen[bytes]"
) -> None:
    register(sqlite_log, owner_of(other, "cluster/shop"))
    with pytest.raises(ValueError, match=f"written by process {other.pid} of host"):
        register(sqlite_log, this_process("cluster-2/shop"))
    with pytest.raises(ValueError, match="another service: end that service first"):
        require_no_other(sqlite_log, None)
    other.communicate(b"\n")
    require_no_other(sqlite_log, None)
    register(sqlite_log, this_process("cluster-2/shop"))


def test_replicas_of_one_service_write_together(
    sqlite_log: Log, other: "subprocess.Popen[bytes]"
) -> None:
    register(sqlite_log, owner_of(other, "cluster/shop"))
    register(sqlite_log, this_process("cluster/shop"))
    register(sqlite_log, this_process("cluster/shop"))
    require_no_other(sqlite_log, "cluster")
    with pytest.raises(ValueError, match="another service"):
        require_no_other(sqlite_log, "clust")
    with pytest.raises(ValueError, match="another service"):
        register(sqlite_log, this_process("cluster/second-application"))
    other.communicate(b"\n")


def test_number_of_an_ended_process_that_another_has_now_is_no_owner(sqlite_log: Log) -> None:
    mine = this_process("old")
    register(sqlite_log, replace(mine, started_at=mine.started_at - 100))
    register(sqlite_log, this_process("new"))


def test_other_host_is_refused_whatever_its_service(sqlite_log: Log) -> None:
    register(sqlite_log, replace(this_process("cluster/shop"), host="elsewhere"))
    with pytest.raises(ValueError, match="of host elsewhere.*several need PostgreSQL"):
        register(sqlite_log, this_process("cluster/shop"))


@pytest.mark.integration
@pytest.mark.thorough
def test_process_of_another_host_is_refused_though_it_is_of_the_same_service(
    sqlite_log: Log,
) -> None:
    """As a replica is that a service scales up to a second host, where the file lies too."""
    register(sqlite_log, this_process("cluster/shop"))
    program = (
        "import sys; from lifecycle.log.opening import open_log; "
        "from lifecycle.log.services import register, this_process; "
        "register(open_log(sys.argv[1]), this_process('cluster/shop'))"
    )
    start = 'hostname second && exec "$0" -c "$1" "$2"'
    named = ["unshare", "--uts", "sh", "-c", start, sys.executable, program, sqlite_log.url]
    ended = subprocess.run(named, capture_output=True, text=True)
    if "unshare" in ended.stderr:
        pytest.skip("this user may not run a process under another host name")
    assert ended.returncode != 0
    assert "SQLite is for one host, several need PostgreSQL" in ended.stderr


def test_several_nodes_need_postgres(log: Log) -> None:
    require_one_host(log, 1)
    if log.path is None:
        require_one_host(log, 2)
        register(log, replace(this_process("one"), host="elsewhere"))
        register(log, this_process("two"))
        require_no_other(log, None)
    else:
        with pytest.raises(ValueError, match="the cluster has 2 nodes; several need PostgreSQL"):
            require_one_host(log, 2)
