"""Zero-inflated lognormal loss, moments and quantiles against scipy and sampling."""

import numpy as np
import pytest
import torch
from scipy import stats

from lifecycle.spend.ziln import expectation, quantile, ziln_loss

LOGITS = torch.tensor([[0.3, 2.0, 0.0], [-2.0, -1.0, -3.0], [4.0, 5.5, 1.0]])


def purchase_probability(logits: torch.Tensor) -> torch.Tensor:
    """Probability, shape (n,), of spending anything."""
    return torch.sigmoid(logits[..., 0].float())


def sigmas(logits: torch.Tensor) -> np.ndarray:
    """0.05 + 2.95 s, with s the logistic curve shifted so that 0 gives sigma 1."""
    raw = logits[:, 2].double().numpy()
    odds = np.exp(raw) * (0.95 / 2.95) / (2.0 / 2.95)
    return 0.05 + 2.95 * odds / (1.0 + odds)


def test_zero_logit_means_sigma_one() -> None:
    assert sigmas(torch.zeros(1, 3)) == pytest.approx(1.0)
    assert expectation(torch.zeros(1, 3)).item() == pytest.approx(0.5 * np.exp(0.5), rel=1e-6)


def test_loss_is_the_mean_negative_log_likelihood() -> None:
    target = torch.tensor([12.5, 0.0, 800.0])
    p = 1.0 / (1.0 + np.exp(-LOGITS[:, 0].double().numpy()))
    density = stats.lognorm.logpdf(
        target.numpy(), s=sigmas(LOGITS), scale=np.exp(LOGITS[:, 1].numpy())
    )
    terms = [np.log(p[0]) + density[0], np.log(1 - p[1]), np.log(p[2]) + density[2]]
    assert ziln_loss(LOGITS, target).item() == pytest.approx(-np.mean(terms), rel=1e-5)


def test_expectation_and_probability_against_scipy() -> None:
    p = 1.0 / (1.0 + np.exp(-LOGITS[:, 0].double().numpy()))
    mean = stats.lognorm.mean(s=sigmas(LOGITS), scale=np.exp(LOGITS[:, 1].numpy()))
    np.testing.assert_allclose(purchase_probability(LOGITS), p, rtol=1e-6)
    np.testing.assert_allclose(expectation(LOGITS), p * mean, rtol=1e-5)


@pytest.mark.parametrize("q", [0.1, 0.425, 0.5, 0.9, 0.99])
def test_quantile_against_sampling(q: float) -> None:
    random = np.random.default_rng(0)
    p = 1.0 / (1.0 + np.exp(-0.3))
    sample = np.where(random.random(400_000) < p, random.lognormal(2.0, 1.0, 400_000), 0.0)
    assert quantile(LOGITS[:1], q).item() == pytest.approx(np.quantile(sample, q), rel=0.05)


def test_quantiles_never_cross_and_start_at_zero() -> None:
    curve = torch.stack([quantile(LOGITS, q) for q in (0.01, 0.1, 0.5, 0.9, 0.999)])
    assert (curve.diff(dim=0) >= 0).all()
    assert curve[0].tolist()[:2] == [0.0, 0.0]


@pytest.mark.parametrize("q", [0.0, 1.0, -0.1, float("nan")])
def test_quantile_refuses_shares_outside_its_range(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile(LOGITS, q)


@pytest.mark.parametrize("extreme", [-1e4, -50.0, 50.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_stay_finite(extreme: float, dtype: torch.dtype) -> None:
    logits = torch.full((2, 3), extreme, dtype=dtype, requires_grad=True)
    loss = ziln_loss(logits, torch.tensor([0.0, 1e9]))
    loss.backward()
    assert torch.isfinite(loss) and logits.grad is not None and torch.isfinite(logits.grad).all()
    for values in (expectation(logits), purchase_probability(logits), quantile(logits, 0.5)):
        assert (
            torch.isfinite(values).all() and (values >= 0).all() and values.dtype == torch.float32
        )


def test_zero_targets_move_the_probability_alone() -> None:
    logits = LOGITS.clone().requires_grad_()
    ziln_loss(logits, torch.zeros(3)).backward()
    assert logits.grad is not None
    assert (logits.grad[:, 0] > 0).all() and (logits.grad[:, 1:] == 0).all()


def test_gradient_against_finite_differences() -> None:
    logits = LOGITS.clone().requires_grad_()
    target = torch.tensor([12.5, 0.0, 800.0])
    ziln_loss(logits, target).backward()
    assert logits.grad is not None
    for row in range(3):
        for column in range(3):
            step = torch.zeros(3, 3)
            step[row, column] = 1e-2
            slope = (ziln_loss(LOGITS + step, target) - ziln_loss(LOGITS - step, target)) / 2e-2
            assert logits.grad[row, column].item() == pytest.approx(slope.item(), abs=2e-3)


def test_fit_recovers_a_known_distribution() -> None:
    random = np.random.default_rng(1)
    spend = np.where(random.random(20_000) < 0.3, random.lognormal(3.0, 0.5, 20_000), 0.0)
    target = torch.tensor(spend, dtype=torch.float32)
    logits = torch.zeros(1, 3, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = ziln_loss(logits.expand(len(target), 3), target)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert purchase_probability(logits).item() == pytest.approx(0.3, abs=0.01)
    assert expectation(logits).item() == pytest.approx(spend.mean(), rel=0.02)
