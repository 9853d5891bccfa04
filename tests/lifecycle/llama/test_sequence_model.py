"""The sequence encoder: causal, indifferent to padding and batch, and able to learn."""

import numpy as np
import pytest
import torch

from lifecycle.features.sequence import (
    Window,
    sequence_batch,
)
from lifecycle.llama.sequence_model import SequenceModel, tensors
from lifecycle.spend.ziln import ziln_loss
from tests.lifecycle.llama.sequences import SETTINGS, Known, logits


def test_a_customer_has_the_same_value_in_any_batch(known: Known) -> None:
    found, windows, model = known
    lengths = [window.length for window in windows]
    assert min(lengths) < 6 and max(lengths) == SETTINGS.max_events + 1
    together = logits(model, sequence_batch(found, windows[:50], 60))
    for row in (0, 7, 23):
        np.testing.assert_allclose(
            logits(model, sequence_batch(found, [windows[row]], 60))[0], together[row], atol=2e-5
        )
    assert np.unique(together[:, 1].round(4)).size > 40


def test_an_event_does_not_see_those_after_it(known: Known) -> None:
    found, windows, model = known
    longest = max(windows, key=lambda window: window.length)
    batch = sequence_batch(found, [longest], 60)
    item, category, title, kind, features, _ = tensors(batch)
    with torch.inference_mode():
        before = model.hidden(item, category, title, kind, features)
        features[0, 20:] += 1.0
        kind[0, 20:] = 3
        after = model.hidden(item, category, title, kind, features)
    np.testing.assert_allclose(after[0, :20], before[0, :20], atol=1e-5)
    assert (after[0, 20:] - before[0, 20:]).abs().max() > 0.01


def test_both_losses_fall_on_a_batch_that_can_be_memorised(known: Known) -> None:
    found, windows, _ = known
    torch.manual_seed(1)
    model = SequenceModel(SETTINGS, 60, 20)
    batch = tensors(sequence_batch(found, windows[:16], 60))
    target = torch.linspace(0.0, 3.0, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(120):
        values, following = model(*batch, 200)
        losses.append((float(ziln_loss(values, target).detach()), float(following.detach())))
        optimizer.zero_grad()
        (ziln_loss(values, target) + following).backward()
        optimizer.step()
    assert losses[-1][0] < losses[0][0] - 0.5 and losses[-1][1] < losses[0][1] - 1.0


def test_next_event_loss_of_customers_with_a_single_event_is_nothing(known: Known) -> None:
    found, windows, model = known
    alone = [Window(window.first, window.end, window.end, window.cutoff) for window in windows[:3]]
    _, following = model(*tensors(sequence_batch(found, alone, 60)), 10)
    assert float(following.detach()) == 0.0


@pytest.mark.parametrize("num_events", [0, 1, 2])
def test_every_parameter_has_a_gradient_whatever_the_histories(
    known: Known, num_events: int
) -> None:
    """Workers reduce gradients in the order in which they arise; one that lacks some stops the others."""
    found, windows, _ = known
    torch.manual_seed(1)
    model = SequenceModel(SETTINGS, 60, 20)
    short = [
        Window(window.first, window.end - num_events, window.end, window.cutoff)
        for window in windows[:3]
    ]
    values, following = model(*tensors(sequence_batch(found, short, 60)), 10)
    (ziln_loss(values, torch.ones(3)) + following).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
