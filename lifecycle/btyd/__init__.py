"""Buy-till-you-die models: likelihoods, fits, what they expect of customers."""
