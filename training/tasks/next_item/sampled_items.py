"""Which items a softmax is taken over where the catalogue is too large for all: the bought ones, and a sample."""

import numpy as np

SMOOTHING = 0.75  # of numbers of purchases, as word2vec draws its words (arXiv 1310.4546)


def item_chances(num_bought: np.ndarray) -> np.ndarray:
    """Chance of each item to be drawn, shape (n,), more for those bought more; by purchases + 1, to a power."""
    weights = (num_bought + 1.0) ** SMOOTHING
    chances: np.ndarray = weights / weights.sum()
    return chances


def sampled_items(
    cumulative: np.ndarray,
    chances: np.ndarray,
    num_draws: int,
    bought: np.ndarray,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Items, ascending and each once, among them all `bought`; and the logarithm of how many items each stands for.

    That is the number of times it was drawn over the number expected: summed up with these weights,
    anything has in the mean the sum over all items. What was not drawn stands for none, -infinity.
    """
    drawn = np.searchsorted(cumulative, generator.random(num_draws), side="right")
    drawn = np.minimum(drawn, len(chances) - 1)
    items, which = np.unique(np.concatenate([drawn, bought]), return_inverse=True)
    times = np.bincount(which[:num_draws], minlength=len(items))
    with np.errstate(divide="ignore"):
        weights = np.log(times / (num_draws * chances[items]))
    return items, weights.astype(np.float32)
