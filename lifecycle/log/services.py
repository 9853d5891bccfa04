"""Who writes an SQLite log: the processes of one service on one host. Those that have ended are forgotten."""

import os
import socket
from dataclasses import dataclass

import psutil
from sqlalchemy import Connection, delete, insert, select

from lifecycle.log.database import Log, shown_url
from lifecycle.log.schema import SERVICES

SLACK_SECONDS = (
    1.0  # by which the kernel's word on when a process started may differ between two readings
)


@dataclass(frozen=True)
class Owner:
    """A process of a service, which is called `CLUSTER/APPLICATION`."""

    service: str
    host: str
    pid: int
    started_at: float  # seconds since 1970

    def has_ended(self) -> bool:
        """Whether this host runs it no more; of another host that cannot be known."""
        if self.host != socket.gethostname():
            return False
        try:
            started_at = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return True
        return abs(started_at - self.started_at) > SLACK_SECONDS


def this_process(service: str) -> Owner:
    """This process, as a part of a service."""
    pid = os.getpid()
    return Owner(service, socket.gethostname(), pid, psutil.Process(pid).create_time())


def register(log: Log, owner: Owner) -> None:
    """Let a process write; ValueError where another service, or another host, writes an SQLite log.

    PostgreSQL takes any number of both.
    """
    if log.path is None:
        return
    with log.writing() as connection:
        others = _living(connection)
        _refuse(log, [other for other in others if not _are_together(other, owner)])
        if owner not in others:
            connection.execute(insert(SERVICES).values(vars(owner)))


def require_no_other(log: Log, cluster: str | None) -> None:
    """ValueError where a service writes an SQLite log already, unless it is one of this cluster."""
    if log.path is None:
        return
    with log.writing() as connection:
        others = _living(connection)
    mine = "" if cluster is None else f"{cluster}/"
    is_mine = [bool(mine) and one.service.startswith(mine) for one in others]
    _refuse(log, [one for one, is_it in zip(others, is_mine, strict=True) if not is_it])


def require_one_host(log: Log, num_hosts: int) -> None:
    """ValueError where more hosts than one would write an SQLite log, each its own file."""
    if log.path is not None and num_hosts > 1:
        raise ValueError(
            f"log {shown_url(log.url)} is for one host, and the cluster has {num_hosts} nodes; "
            "several need PostgreSQL: log=postgresql://USER@HOST/DATABASE"
        )


def _living(connection: Connection) -> list[Owner]:
    """The processes that are registered, without those that have ended, which are cleared."""
    living = []
    for row in connection.execute(select(SERVICES)).all():
        owner = Owner(row.service, row.host, row.pid, row.started_at)
        if owner.has_ended():
            is_it = (SERVICES.c.host == owner.host) & (SERVICES.c.pid == owner.pid)
            connection.execute(delete(SERVICES).where(is_it))
        else:
            living.append(owner)
    return living


def _are_together(one: Owner, other: Owner) -> bool:
    return (one.service, one.host) == (other.service, other.host)


def _refuse(log: Log, others: list[Owner]) -> None:
    if not others:
        return
    other = others[0]
    here = other.host == socket.gethostname()
    remedy = (
        "end that service first, or give this one its own log"
        if here
        else f"SQLite is for one host, several need PostgreSQL; if {other.host} is gone for good, "
        f"delete its rows from the table {SERVICES.name}"
    )
    raise ValueError(
        f"log {shown_url(log.url)} is written by process {other.pid} of host {other.host}, "
        f"which belongs to another service: {remedy}"
    )
