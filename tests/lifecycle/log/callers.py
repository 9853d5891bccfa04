"""Callers who send events as the product's client does: the same again until it is acknowledged."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

SECONDS = 60
NUM_CALLERS = 4


@dataclass
class Callers:
    """What callers saw; `send` writes the event of an id, or raises a `refusal`."""

    send: Callable[[str], object]
    refusal: type[Exception]
    acknowledged: list[str] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def call(self, name: str) -> None:
        number = 0
        while not self.is_over.is_set():
            event = f"{name}-{number}"
            try:
                self.send(event)
            except self.refusal as error:
                self.refusals.append(error)
                time.sleep(0.05)
                continue
            self.acknowledged.append(event)
            number += 1

    def wait_for_more(self, count: int) -> None:
        enough = len(self.acknowledged) + count
        deadline = time.monotonic() + SECONDS
        while len(self.acknowledged) < enough:
            assert time.monotonic() < deadline, self.refusals[-1:]
            time.sleep(0.01)

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Until the block ends; each caller ends with an acknowledged event."""
        with ThreadPoolExecutor(NUM_CALLERS) as threads:
            calls = [threads.submit(self.call, f"caller{number}") for number in range(NUM_CALLERS)]
            try:
                yield
            finally:
                self.is_over.set()
        for call in calls:
            call.result()
