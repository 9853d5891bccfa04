"""The value head: what it says of customers before it has learned anything."""

import numpy as np
import pytest
import torch

from lifecycle.llama.value_head import ValueHead


def test_untrained_head_gives_every_customer_the_moments_of_the_data() -> None:
    generator = np.random.default_rng(3)
    spend = np.where(generator.random(4000) < 0.35, generator.lognormal(1.2, 0.7, 4000), 0.0)
    head = ValueHead(16)
    head.start_from(torch.tensor(spend, dtype=torch.float32))
    logits = head(torch.randn(2, 16)).detach().double().numpy()
    np.testing.assert_allclose(logits[0], logits[1])
    logs = np.log(spend[spend > 0])
    odds = np.exp(logits[0, 2]) * 0.95 / 2.0  # sigma runs from 0.05 to 3 and is 1 at logit 0
    assert 1 / (1 + np.exp(-logits[0, 0])) == pytest.approx((spend > 0).mean(), abs=1e-3)
    assert logits[0, 1] == pytest.approx(logs.mean(), abs=1e-5)
    assert 0.05 + 2.95 * odds / (1 + odds) == pytest.approx(logs.std(ddof=1), abs=1e-5)


@pytest.mark.parametrize("targets", [[0.0, 0.0, 0.0], [0.0, 3.0], [5.0, 5.0, 5.0]])
def test_degenerate_targets_still_start_finite(targets: list[float]) -> None:
    head = ValueHead(4)
    head.start_from(torch.tensor(targets))
    assert torch.isfinite(head(torch.randn(1, 4))).all()
