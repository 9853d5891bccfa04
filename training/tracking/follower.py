"""The thread beside a job that copies what its folder says into MLflow, and never ends the job."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from training.tracking.state import FAILED, FINISHED, KILLED, RUNNING

logger = logging.getLogger(__name__)
EVERY_SECONDS = 5.0
Enter = Callable[[str], None]


@contextmanager
def followed(uri: str, enter: Enter, begins: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Call `enter` with the status every few seconds while the block runs, and with its final status at the end.

    The first call waits for `begins`: while workers start they need the cores. All calls are made
    in a thread of their own, where a slow store holds up nothing. A failure is a warning: the next
    call tries again, and no job ends for it.
    """
    follower = Follower(uri, enter, begins)
    try:
        yield
    except KeyboardInterrupt:
        follower.end(KILLED)
        raise
    except BaseException:
        follower.end(FAILED)
        raise
    follower.end(FINISHED)


class Follower:
    """The thread that calls `enter`; owns the status and whether its failure was told."""

    def __init__(self, uri: str, enter: Enter, begins: Callable[[], bool]) -> None:
        self.uri = uri
        self.enter = enter
        self.begins = begins
        self.status = RUNNING
        self.is_failing = False
        self.is_over = Event()
        self.thread = Thread(target=self._follow, name="tracking", daemon=True)
        self.thread.start()

    def end(self, status: str) -> None:
        """Have the final status entered, and wait for it."""
        self.status = status
        self.is_over.set()
        self.thread.join()

    def _follow(self) -> None:
        while not self.begins() and not self.is_over.wait(1.0):
            pass
        while not self.is_over.is_set():
            self._try(RUNNING)
            self.is_over.wait(EVERY_SECONDS)
        was_failing = self.is_failing
        self._try(self.status)
        if (
            self.is_failing and not was_failing
        ):  # a hiccup must not cost the member its place in the registry
            self._try(self.status)

    def _try(self, status: str) -> None:
        try:
            self.enter(status)
            self.is_failing = False
        # Of MLflow, its database driver, HTTP or the disk: none may end a training run.
        except Exception as error:
            if not self.is_failing:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                told = f"MLflow at {self.uri} failed: {reason}"
                logger.warning("%s; the job goes on, and entering it is tried again", told)
            self.is_failing = True
