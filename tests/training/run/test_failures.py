"""What failed workers mean: mistakes are not tried again, losses are, and both end in one line."""

import logging

import pytest
from ray.exceptions import RayActorError
from ray.train import ControllerError, WorkerGroupError
from safetensors import SafetensorError

from training.run.failures import StopAtMistakes, failure_line, is_disk_full


def test_mistake_found_by_a_worker_is_not_tried_again() -> None:
    """Ray Train gives up at an error of its controller that is not one of starting workers."""
    errors = {0: RuntimeError("Connection closed by peer"), 1: ValueError("max_tokens is 10")}
    with pytest.raises(ControllerError) as raised:
        StopAtMistakes().after_exception(None, errors)
    assert failure_line(raised.value) == "max_tokens is 10"


def test_lost_worker_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        StopAtMistakes().after_exception(
            None, {1: RuntimeError("Traceback:\n  ...\nThe actor died.\n")}
        )
    assert [record.getMessage() for record in caplog.records] == [
        "worker 1 failed: The actor died."
    ]


def test_too_many_losses_end_in_one_line() -> None:
    error = WorkerGroupError(
        "Traceback\n" * 50, {1: RuntimeError("Traceback:\n  ...\nThe actor died.\n")}
    )
    assert (
        failure_line(error) == "worker 1 failed once more than max_failures allows: The actor died."
    )


def test_workers_that_do_not_start_end_in_one_line() -> None:
    error = ControllerError(RuntimeError("The worker group startup timed out after 10 seconds."))
    assert (
        failure_line(error)
        == "the workers did not start: The worker group startup timed out after 10 seconds."
    )


def test_lost_controller_ends_in_one_line() -> None:
    line = failure_line(RayActorError())
    assert line.endswith("the same command again: it goes on from the last checkpoint")
    assert "\n" not in line


def test_full_disk_is_told_from_other_errors_whoever_reports_it() -> None:
    with pytest.raises(OSError) as raised, open("/dev/full", "wb", buffering=0) as file:
        file.write(b"x")
    assert is_disk_full(raised.value)
    assert is_disk_full(
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    )
    assert is_disk_full(WorkerGroupError("...\nOSError: [Errno 28] No space left on device\n", {}))
    assert not is_disk_full(FileNotFoundError("data/events"))
