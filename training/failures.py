"""What a failed worker means: a mistake that ends the run in one line, or a loss that a new worker makes good."""

import logging

from ray.train import ControllerError, TrainingFailedError, UserCallback, WorkerGroupError

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


def failure_line(error: TrainingFailedError) -> str:
    """One line for a user: the mistake itself, or why workers failed too often."""
    if isinstance(error, ControllerError):
        cause = error.controller_failure
        return str(cause) if isinstance(cause, ValueError) else f"the workers did not start: {_last_line(cause)}"
    if isinstance(error, WorkerGroupError):
        rank, cause = next(iter(error.worker_failures.items()))
        return f"worker {rank} failed once more than max_failures allows: {_last_line(cause)}"
    return _last_line(error)


def _last_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[-1].strip()
