"""What a failed worker means: a mistake that ends the run in one line, or a loss that a new worker makes good."""

import errno
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray.exceptions import RayActorError
from ray.train import ControllerError, TrainingFailedError, UserCallback, WorkerGroupError
from safetensors import SafetensorError

logger = logging.getLogger(__name__)


class StopAtMistakes(UserCallback):  # type: ignore[misc]
    """Ends the run at a worker's ValueError, which new workers would only meet again; tells of any other failure."""

    def after_exception(self, run_context: object, worker_exceptions: dict[int, Exception]) -> None:
        """Called by Ray Train's controller when workers have failed.

        Raises ControllerError, which Ray Train does not retry.
        """
        for error in worker_exceptions.values():
            if isinstance(error, ValueError):
                raise ControllerError(error)
        for rank, error in worker_exceptions.items():
            logger.warning("worker %d failed: %s", rank, _last_line(error))


@contextmanager
def mistakes_in_one_line(output: str) -> Iterator[None]:
    """In a worker: a mistake, and a full disk, leave it as a ValueError without Ray Train's traceback.

    Ray Train would print one for each worker; the driver says in one line what it was.
    """
    try:
        yield
        return
    except ValueError as error:
        line = str(error)
    except (OSError, RuntimeError, SafetensorError) as error:
        if not is_disk_full(error):
            raise
        line = disk_full_line(output)
    logging.getLogger("ray.train").setLevel(logging.CRITICAL)
    raise ValueError(line)


def is_disk_full(error: BaseException) -> bool:
    """Whether this is what Python, safetensors or torch make of a full disk; torch says no more than that it failed."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return full or any(
        words in str(error) for words in ("No space left on device", "PytorchStreamWriter failed")
    )


def disk_full_line(output: str | Path) -> str:
    """What to do about it."""
    return (
        f"no space is left on the disk of {output} or of {tempfile.gettempdir()}, where checkpoints are put together; "
        "free some and start the same command again: it goes on from the last checkpoint"
    )


def failure_line(error: TrainingFailedError | RayActorError) -> str:
    """One line for a user: the mistake itself, why workers failed too often, or that who leads them is gone."""
    if isinstance(error, RayActorError):
        return (
            "the process that leads the workers ended before the run did: killed, out of memory, or its node was lost; "
            "start the same command again: it goes on from the last checkpoint"
        )
    if isinstance(error, ControllerError):
        cause = error.controller_failure
        return (
            str(cause)
            if isinstance(cause, ValueError)
            else f"the workers did not start: {_last_line(cause)}"
        )
    if isinstance(error, WorkerGroupError):
        rank, cause = next(iter(error.worker_failures.items()))
        return f"worker {rank} failed once more than max_failures allows: {_last_line(cause)}"
    return _last_line(error)


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
