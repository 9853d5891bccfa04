"""The zero-inflated lognormal: a loss and a distribution of spend from three logits (arXiv 1912.07753).

A customer buys with probability sigmoid(logits[0]); a buyer's spend is lognormal with location
logits[1] and a scale that logits[2] moves within bounds. Everything is computed in float32,
whatever the type of the logits.
"""

import math

import torch
from torch.nn import functional

SMALLEST_SIGMA = 0.05
LARGEST_SIGMA = 3.0
LARGEST_EXPONENT = 30.0  # exp(30) is 1e13: beyond any customer, far from overflow
# A zero logit means sigma = 1.
SIGMA_SHIFT = math.log((1.0 - SMALLEST_SIGMA) / (LARGEST_SIGMA - 1.0))


def ziln_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood, a scalar, of logits (n, 3) for spends `target` (n,) of at least 0.

    A customer who spent nothing adds the cross-entropy of buying alone and sends no gradient to
    location and scale.
    """
    buys, mu, sigma = _parameters(logits)
    target = target.float()
    positive = (target > 0).float()
    log_spend = torch.where(target > 0, target, 1.0).log()
    lognormal = (
        log_spend
        + sigma.log()
        + 0.5 * math.log(2.0 * math.pi)
        + 0.5 * ((log_spend - mu) / sigma) ** 2
    )
    cross_entropy = functional.binary_cross_entropy_with_logits(buys, positive)
    return cross_entropy + (positive * lognormal).mean()


def expectation(logits: torch.Tensor) -> torch.Tensor:
    """Expected spend, shape (n,): probability times exp(mu + sigma^2 / 2), the exponent kept within 30."""
    buys, mu, sigma = _parameters(logits)
    return torch.sigmoid(buys) * _bounded_exp(mu + 0.5 * sigma**2)


def quantile(logits: torch.Tensor, q: float) -> torch.Tensor:
    """The spend, shape (n,), that a share `q` of such customers stays at or under; 0 up to the share that buys nothing.

    Raises ValueError where q is not between 0 and 1, exclusive.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"q is {q}; a quantile needs a share between 0 and 1")
    buys, mu, sigma = _parameters(logits)
    above = (1.0 - q) / torch.sigmoid(buys)  # share of the buyers that spends more
    normal = -torch.special.ndtri(above.clamp(1e-7, 1.0 - 1e-7))
    return torch.where(above < 1.0, _bounded_exp(mu + sigma * normal), 0.0)


def _parameters(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The logit of buying, location and scale, each (n,)."""
    buys, mu, raw = logits.float().unbind(-1)
    sigma = SMALLEST_SIGMA + (LARGEST_SIGMA - SMALLEST_SIGMA) * torch.sigmoid(raw + SIGMA_SHIFT)
    return buys, mu, sigma


def _bounded_exp(exponent: torch.Tensor) -> torch.Tensor:
    return exponent.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT).exp()


def starting_logits(target: torch.Tensor) -> torch.Tensor:
    """The three logits whose distribution has the buyers' share and the log moments of the spends `target` (n,)."""
    buyers = target[target > 0].float()
    share = torch.tensor((buyers.numel() + 1) / (target.numel() + 2))
    logs = buyers.log() if buyers.numel() > 1 else torch.tensor([-1.0, 1.0])
    sigma = logs.std().clamp(1.01 * SMALLEST_SIGMA, 0.99 * LARGEST_SIGMA)
    raw = torch.logit((sigma - SMALLEST_SIGMA) / (LARGEST_SIGMA - SMALLEST_SIGMA)) - SIGMA_SHIFT
    return torch.stack([torch.logit(share), logs.mean(), raw])
