"""Which examples an optimiser step takes: every epoch a permutation, examples of similar length side by side."""

from functools import lru_cache

import numpy as np

from training.recipe import SharedRecipe
from training.tasks.protocol import Task

WINDOW = 16  # steps whose examples are sorted by length together


class BatchOrder:
    """The order of a recipe's examples, the same on every worker and for any number of workers.

    Owns the window of steps that it sorted last.
    """

    def __init__(self, config: SharedRecipe, task: Task) -> None:
        self.config = config
        self.task = task
        self.num_steps = config.num_steps(task.num_rows)
        self.sorted_window = -1
        self.sorted_batches = (np.empty(0), np.empty(0))

    def step(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and their epochs of one optimiser step, each of shape (global_batch,), micro-batch after micro-batch.

        Examples are sorted by length over WINDOW steps, so that those of a micro-batch are of
        similar length. A step has neighbours out of each of two or four strata, from short to long:
        steps of one length make training unsteady. Each two micro-batches take turns, so that
        neither of two workers waits for the other.
        """
        window, place = divmod(step, WINDOW)
        if self.sorted_window != window:
            self.sorted_window = window
            self.sorted_batches = self._sort(window)
        rows, epochs = self.sorted_batches
        return rows[place], epochs[place]

    def _sort(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and epochs of WINDOW steps, fewer at the end of the run, each of shape (steps, global_batch)."""
        size, width = self.config.global_batch, self.config.micro_batch
        first = window * WINDOW
        num_steps = min(WINDOW, self.num_steps - first)
        rows, epochs = self._stream(first * size, num_steps * size)
        order = np.argsort(self.task.lengths(rows, epochs), kind="stable")
        num_passes = size // width
        num_strata = next((n for n in (4, 2) if num_passes % (2 * n) == 0), num_passes)
        if num_strata < num_passes:
            order = order.reshape(-1, width, 2).swapaxes(1, 2)
        strata = order.reshape(num_strata, num_steps, -1)
        generator = np.random.default_rng([self.config.seed, window, 2])
        drawn = [stratum[generator.permutation(num_steps)] for stratum in strata]
        chosen = np.stack(drawn, axis=1).reshape(num_steps, size)
        return rows[chosen], epochs[chosen]

    def _stream(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and epochs from a place in the endless stream of epochs, each a permutation of all rows."""
        num_rows = self.task.num_rows
        epochs = np.arange(first, first + count) // num_rows
        orders = [
            _permutation(self.config.seed, int(epoch), num_rows) for epoch in np.unique(epochs)
        ]
        start = first - int(epochs[0]) * num_rows
        return np.concatenate(orders)[start : start + count], epochs


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, num_rows: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(num_rows)
