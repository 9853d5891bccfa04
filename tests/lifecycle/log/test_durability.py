"""Nothing is acknowledged before the disk has it: system calls for SQLite, the server's own count for PostgreSQL."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from lifecycle.log.opening import make_log
from lifecycle.log.writer import append
from tests.lifecycle.log.events import batch
from tests.lifecycle.log.postgres import Server

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
NUM_GROUPS = 3
PROGRAM = """
import os, sys
from lifecycle.log.group_commit import GroupCommit
from lifecycle.log.opening import open_log
from tests.lifecycle.log.events import batch
writer = GroupCommit(open_log(sys.argv[1]))
for number in range(int(sys.argv[2])):
    os.write(1, b"sent\\n")
    writer.submit(batch(f"e{number}")).result()
    os.write(1, b"acknowledged\\n")
"""


def test_sqlite_syncs_what_it_wrote_before_it_acknowledges(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (Debian: apt install strace)")
    url = f"sqlite:///{tmp_path / 'log.db'}"
    make_log(url).engine.dispose()
    calls = tmp_path / "calls"
    traced = "trace=write,pwrite64,fsync,fdatasync"
    command = ["strace", "-f", "-y", "-e", traced, "-o", str(calls), sys.executable, "-c", PROGRAM]
    subprocess.run([*command, url, str(NUM_GROUPS)], check=True, capture_output=True)
    steps = []
    for line in calls.read_text().splitlines():
        if re.search(r"pwrite64\(\d+<[^>]*log.db-wal>", line):
            steps.append("w")
        elif re.search(r"f(data)?sync\(\d+<[^>]*log.db-wal>", line):
            steps.append("s")
        elif '"sent' in line:
            steps.append("(")
        elif '"acknowledged' in line:
            steps.append(")")
    told = "".join(steps)
    assert told.count(")") == NUM_GROUPS
    for group in re.findall(r"\(([ws]*)\)", told):
        assert re.fullmatch(r"w+(s|sw+)*s", group), told


def test_postgres_syncs_its_journal_before_it_acknowledges(server: Server) -> None:
    log = make_log(server.new_database())
    with psycopg.connect(f"{server.url}/postgres", autocommit=True) as connection:

        def written() -> tuple[str, str]:
            row = connection.execute(
                "SELECT pg_current_wal_flush_lsn()::text, pg_current_wal_insert_lsn()::text"
            ).fetchone()
            assert row is not None
            return row

        for number in range(NUM_GROUPS):
            before, _ = written()
            append(log, [batch(f"e{number}")])
            after, _ = written()
            assert int(after.partition("/")[2], 16) > int(before.partition("/")[2], 16)
    log.engine.dispose()
