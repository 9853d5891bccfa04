"""How long something takes."""

import time


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
