"""How long something takes."""

import statistics
import time
from collections.abc import Callable

RUNS = 9


class Stopwatch:
    """Wall and processor seconds since it was made."""

    def __init__(self) -> None:
        self.started_at = time.perf_counter()
        self.processor_at = time.process_time()

    def seconds(self) -> float:
        """By the wall."""
        return time.perf_counter() - self.started_at

    def processor_seconds(self) -> float:
        """Of this process."""
        return time.process_time() - self.processor_at


def medians(*functions: Callable[[], object]) -> list[float]:
    """Median seconds of each, in turns, after one call that nobody counts."""
    seconds: list[list[float]] = [[] for _ in functions]
    for run in range(RUNS + 1):
        for times, function in zip(seconds, functions, strict=True):
            started_at = time.perf_counter()
            function()
            if run:
                times.append(time.perf_counter() - started_at)
    return [statistics.median(times) for times in seconds]
