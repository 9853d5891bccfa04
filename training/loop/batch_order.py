"""Which examples an optimiser step takes: every epoch a permutation, examples of similar length side by side."""

import numpy as np

from training.recipe import SharedRecipe
from training.tasks.protocol import Task

BUCKET_STEPS = 16  # steps whose examples are sorted by length together


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

        Examples are sorted by length over BUCKET_STEPS steps, so that those of a micro-batch are of
        similar length. A step has two runs of such micro-batches, drawn at
        random: within a run all workers have as much to do in a forward pass, and steps of one
        length alone make training unsteady.
        """
        window, place = divmod(step, BUCKET_STEPS)
        if self.sorted_window != window:
            self.sorted_window = window
            self.sorted_batches = self._sort(window)
        rows, epochs = self.sorted_batches
        return rows[place], epochs[place]

    def _sort(self, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and epochs of BUCKET_STEPS steps, fewer at the end of the run, each of shape (steps, global_batch)."""
        size = self.config.global_batch
        first = window * BUCKET_STEPS
        num_steps = min(BUCKET_STEPS, self.num_steps - first)
        rows, epochs = self._stream(first * size, num_steps * size)
        num_micro_batches = size // self.config.micro_batch
        run = size // 2 if num_micro_batches % 2 == 0 else self.config.micro_batch
        order = np.argsort(self.task.lengths(rows, epochs), kind="stable").reshape(-1, run)
        drawn = (
            np.random.default_rng([self.config.seed, window, 2])
            .permutation(len(order))
            .reshape(num_steps, -1)
        )
        chosen = order[np.sort(drawn, axis=1)].reshape(num_steps, size)
        return rows[chosen], epochs[chosen]

    def _stream(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and epochs from a place in the endless stream of epochs, each a permutation of all rows."""
        num_rows = self.task.num_rows
        epochs = np.arange(first, first + count) // num_rows
        orders = [
            np.random.default_rng([self.config.seed, epoch]).permutation(num_rows)
            for epoch in np.unique(epochs)
        ]
        start = first - int(epochs[0]) * num_rows
        return np.concatenate(orders)[start : start + count], epochs
