"""The next-item model: its loss against sums by hand, and what it may see."""

import numpy as np
import polars as pl
import pytest
import torch

from lifecycle.features.baskets import NextItemSettings
from lifecycle.features.vocabulary import Vocabulary, VocabularyRules, fit_vocabulary
from lifecycle.llama.next_item.model import (
    NextItemModel,
    Repeats,
    Sampled,
    Wanted,
    causal_convolution,
    history_columns,
    next_item_loss,
)

SETTINGS = NextItemSettings(hidden_size=16, num_layers=1, num_heads=2, dropout=0.5, max_events=6)
EVERYTHING = torch.arange(1, 7)


@pytest.fixture
def vocabulary() -> Vocabulary:
    """Four items bought, two of the catalogue that nobody bought: one of a known category, one of none."""
    items = pl.DataFrame(
        {
            "item_id": list("abcdef"),
            "category": ["tea", "tea", "soap", "soap", "tea", None],
            "title": pl.Series([None] * 6, dtype=pl.String),
        }
    )
    counts = pl.DataFrame({"item_id": list("abcd"), "customers": [9, 8, 7, 6]})
    return fit_vocabulary(counts, items, VocabularyRules())


@pytest.fixture
def model(vocabulary: Vocabulary) -> NextItemModel:
    torch.manual_seed(0)
    model = NextItemModel(SETTINGS, vocabulary)
    assert model.category is not None
    torch.nn.init.normal_(model.category.weight)
    return model.eval()


def logits(model: NextItemModel, items: list[list[int]], place: int) -> torch.Tensor:
    item = torch.tensor(items)
    with torch.inference_mode():
        return model(item, torch.zeros(item.shape), torch.tensor([place]), EVERYTHING)


def test_later_purchases_and_padding_change_nothing(model: NextItemModel) -> None:
    expected = logits(model, [[1, 2, 3]], 1)
    torch.testing.assert_close(logits(model, [[1, 2, 4, 0, 0]], 1), expected)
    assert (logits(model, [[3, 2, 3]], 1) - expected).abs().max() > 1e-4


def test_items_without_a_vector_of_their_own_differ_by_their_category(model: NextItemModel) -> None:
    vectors = model.vectors(torch.tensor([5, 6, 0])).detach()
    torch.testing.assert_close(vectors[1], vectors[2])
    assert model.category is not None
    tea, none = model.category.weight[model.category_of[torch.tensor([1, 6])]].detach()
    torch.testing.assert_close(vectors[0] - vectors[1], tea - none)


def test_convolution_is_causal_and_starts_as_a_mean() -> None:
    hidden = torch.randn(1, 7, 2, generator=torch.Generator().manual_seed(1))
    result = causal_convolution(hidden, torch.full((4, 2), 0.25))
    torch.testing.assert_close(result[0, 5], hidden[0, 2:6].mean(dim=0))
    torch.testing.assert_close(result[0, 0], hidden[0, 0] / 4)


def test_loss_over_all_items_is_cross_entropy() -> None:
    scores = torch.randn(3, 6, generator=torch.Generator().manual_seed(2))
    wanted = Wanted(torch.tensor([0, 1, 1, 2]), torch.tensor([4, 0, 5, 2]))
    expected = torch.nn.functional.cross_entropy(scores[wanted.row], wanted.column)
    torch.testing.assert_close(next_item_loss(scores, None, wanted), expected)


def test_sampled_columns_stand_for_what_they_were_drawn_out_of() -> None:
    scores = torch.tensor([[1.0, -1.0, 0.5]])
    weights = torch.log(torch.tensor([3.0, 2.0, 0.0]))
    pairs = Wanted(torch.tensor([0]), torch.tensor([0]))
    total = np.exp(1.0) + 2 * np.exp(-1.0)  # the bought one for itself; the last was not drawn
    loss = next_item_loss(scores, Sampled(weights, torch.tensor([[3, 3]])), pairs)
    assert float(loss) == pytest.approx(np.log(total) - 1.0, rel=1e-6)
    total = np.exp(1.0) + np.exp(-1.0) + np.exp(0.5)  # what was bought before for itself too
    loss = next_item_loss(scores, Sampled(weights, torch.tensor([[1, 2]])), pairs)
    assert float(loss) == pytest.approx(np.log(total) - 1.0, rel=1e-6)


def test_each_earlier_purchase_adds_to_the_logit_of_its_item() -> None:
    torch.manual_seed(0)
    repeats = Repeats(8)
    torch.nn.init.zeros_(repeats.query.weight)
    repeats.level_and_slope.bias.data = torch.tensor([0.7, 0.5])
    item = torch.tensor([[2, 4, 2, 3, 0]])
    columns = history_columns(item, torch.tensor([2]), torch.tensor([1, 2, 3, 4]), 6)
    assert columns.tolist() == [[1, 3, 1, 4, 4]]
    added = repeats(torch.randn(1, 5, 8), torch.tensor([2]), columns, 4)[0]
    once = [np.exp(0.7) * (1 + since) ** -0.5 for since in (2, 1, 0)]
    expected = [0.0, np.log1p(once[0] + once[2]), 0.0, np.log1p(once[1])]
    assert added.tolist() == pytest.approx(expected, rel=1e-5)
