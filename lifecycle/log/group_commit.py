"""One thread that writes for everybody: requests that wait at the same time share one transaction and its fsync."""

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from lifecycle.log.database import Log
from lifecycle.log.problems import LogFull, LogUnavailable
from lifecycle.log.writer import Batch, Conflict, Receipt, append

GROUP_EVENTS = 20_000  # a group is closed once it has as many


@dataclass(frozen=True)
class _Waiting:
    batch: Batch
    outcome: Future[Receipt | Conflict] = field(default_factory=Future)


class GroupCommit:
    """Writes batches in the order in which they came. Its thread ends with the process, or by `close`."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._write, name="event-log", daemon=True)
        self.thread.start()

    def submit(self, batch: Batch) -> Future[Receipt | Conflict]:
        """The outcome of a batch, once it is durable; LogUnavailable or LogFull where it could not be written."""
        waiting = _Waiting(batch)
        self.waiting.put(waiting)
        return waiting.outcome

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self.waiting.put(None)
        self.thread.join()

    def _write(self) -> None:
        goes_on = True
        while goes_on:
            group, goes_on = self._next_group()
            # Whose caller has gone is left out; the others can be given up no more.
            group = [each for each in group if each.outcome.set_running_or_notify_cancel()]
            if group:
                self._commit(group)

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """Those that wait, at least one, and whether more may come."""
        group: list[_Waiting] = []
        num_events = 0
        while num_events < GROUP_EVENTS:
            try:
                waiting = self.waiting.get(block=not group)
            except queue.Empty:
                break
            if waiting is None:
                return group, False
            group.append(waiting)
            num_events += len(waiting.batch.rows)
        return group, True

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            outcomes = append(self.log, [each.batch for each in group])
        except (LogUnavailable, LogFull) as error:
            for each in group:
                each.outcome.set_exception(error)
            return
        for each, outcome in zip(group, outcomes, strict=True):
            each.outcome.set_result(outcome)
