"""Progress of a search: one line for every checkpoint of a trial, with the best value so far and the time left."""

import logging
import time

from ray.tune import Callback
from ray.tune.experiment import Trial

logger = logging.getLogger(__name__)


class SearchProgress(Callback):  # type: ignore[misc]
    """Logs every report; `checkpoints` is how many a trial makes, by which the time left is estimated."""

    def __init__(
        self, metric: str, mode: str, num_trials: int, checkpoints: int, minutes: float
    ) -> None:
        self.metric = metric
        self.mode = mode
        self.num_trials = num_trials
        self.checkpoints = checkpoints
        self.minutes = minutes
        self.started_at: float | None = None
        self.done_before = 0.0

    def setup(self, **_: object) -> None:
        """A new process: the clock starts again, what earlier ones did does not count for the speed."""
        self.started_at = None

    def on_step_begin(self, iteration: int, trials: list[Trial], **_: object) -> None:
        """Remember when and from where this process started."""
        if self.started_at is None:
            self.started_at = time.monotonic()
            self.done_before = self._done(trials)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, float],
        **_: object,
    ) -> None:
        """Log the report of a trial."""
        values = [
            t.last_result[self.metric] for t in trials if self.metric in (t.last_result or {})
        ]
        values.append(result[self.metric])
        best = min(values) if self.mode == "min" else max(values)
        number = trials.index(trial) + 1
        logger.info(
            "trial %d/%d (%s), step %d, %s %.4g, best %.4g, ETA %.0f s",
            number,
            self.num_trials,
            trial.trial_id,
            result["step"],
            self.metric,
            result[self.metric],
            best,
            self._eta_seconds(trials),
        )

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **_: object
    ) -> None:
        """Log the end of a trial."""
        self._log_end(trials, trial, "finished")

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **_: object
    ) -> None:
        """Log the failure of a trial."""
        text = trial.get_error() or ""
        reason = text.strip().splitlines()[-1:]
        self._log_end(trials, trial, ": ".join(["failed", *reason]))

    def _log_end(self, trials: list[Trial], trial: Trial, how: str) -> None:
        number = trials.index(trial) + 1
        eta = self._eta_seconds(trials)
        logger.info(
            "trial %d/%d (%s) %s, ETA %.0f s", number, self.num_trials, trial.trial_id, how, eta
        )

    def _done(self, trials: list[Trial]) -> float:
        """Trials that are done, counting those that run by their share of checkpoints."""
        shares = [
            1.0
            if trial.is_finished()
            else (trial.last_result or {}).get("training_iteration", 0) / self.checkpoints
            for trial in trials
        ]
        return float(sum(shares))

    def _eta_seconds(self, trials: list[Trial]) -> float:
        assert self.started_at is not None
        elapsed = time.monotonic() - self.started_at
        done = self._done(trials)
        by_work = (
            elapsed / max(done - self.done_before, 1 / self.checkpoints) * (self.num_trials - done)
        )
        return max(0.0, min(by_work, 60 * self.minutes - elapsed))
