"""What ingest warns of while it reads, kept for quality.json beside the log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

INGEST = "training.ingest"  # the logger of all of its modules


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """The lines that ingest has warned of since, in the order of the log."""
    logger = logging.getLogger(INGEST)
    kept = _Kept()
    logger.addHandler(kept)
    try:
        yield kept.lines
    finally:
        logger.removeHandler(kept)
