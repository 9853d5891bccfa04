"""Customer value: formula, distributions, buy-till-you-die models, intervals."""

# How often customers buy by the first part of the name, for how much by Gamma-Gamma.
BTYD_MODELS = ("bgnbd_gg", "mbgnbd_gg", "pareto_nbd_gg")
ZILN = "ziln"  # the dense network: its name stands here because its module imports torch
