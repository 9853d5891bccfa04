"""Customer value: formula, distributions, buy-till-you-die models, intervals."""
