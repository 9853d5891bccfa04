"""How every job starts and ends: checked configuration, one log format, one line for a user's mistake."""

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from lifecycle.config import Config, Load, from_command_line

C = TypeVar("C", bound=Config)
logger = logging.getLogger(__name__)
# Ours: they log progress.
PACKAGES = (
    "lifecycle",
    "training",
    "tuning",
    "serving",
    "benchmarks",
    "__main__",
)


def run_job(load: Load[C], job: str, work: Callable[[C], None]) -> None:
    """Load the configuration, do the work; a ValueError or OSError ends the process with its message and status 1."""
    config = from_command_line(load, job)
    start_logging()
    logging.getLogger("__main__").name = job  # its lines say which job they come from
    started_at = time.monotonic()
    try:
        work(config)
    except (ValueError, OSError) as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        print(f"{job}: {error}\n  (raised in {frame.filename}:{frame.lineno})", file=sys.stderr)
        raise SystemExit(1) from None
    logger.info("%s done in %.1f s", job, time.monotonic() - started_at)


def start_logging() -> None:
    """Log lines of our modules, and warnings of libraries, go to standard error with the time of day."""
    logging.basicConfig(
        format="%(asctime)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
        level=logging.WARNING,
        force=True,
    )
    for package in PACKAGES:
        logging.getLogger(package).setLevel(logging.INFO)


class Progress:
    """Logs how much of a known amount of work is done, how fast, and how long the rest will take.

    That goes by the second half of the time so far: workers start in the first, and where the longest
    comes first, it is slow. The last line has the rate of the whole.
    """

    def __init__(self, label: str, total: int, unit: str, every_seconds: float = 5.0) -> None:
        self.label = label
        self.total = total
        self.unit = unit
        self.every_seconds = every_seconds
        self.done = 0
        self.started_at = self.logged_at = time.monotonic()
        self.told = [(self.started_at, 0)]  # when so many were done

    def advance(self, amount: int) -> None:
        """Count `amount` more units as done; logs at most every `every_seconds`, and at the end."""
        self.done += amount
        now = time.monotonic()
        if now - self.logged_at < self.every_seconds and self.done < self.total:
            return
        self.logged_at = now
        rate = self._rate(now)
        eta = (self.total - self.done) / max(rate, 1e-9)
        share = self.done / max(self.total, 1)
        done = f"{self.done}/{self.total} {self.unit} ({100 * share:.0f} %)"
        logger.info("%s %s, %.1f/s, ETA %.0f s", self.label, done, rate, max(eta, 0.0))

    def _rate(self, now: float) -> float:
        """Units a second since the last line in the first half of the time so far; at the end, since the start."""
        until = self.started_at if self.done >= self.total else (self.started_at + now) / 2
        since, before = next(each for each in reversed(self.told) if each[0] <= until)
        self.told.append((now, self.done))
        return (self.done - before) / max(now - since, 1e-9)
