"""The sequence encoder: a LLaMA-architecture decoder over events, trained from scratch, with the value head.

Beside the value of the query position it predicts, at every event, what comes next: item, gap and
amount. What a customer does next is known for every event, so that even a small shop gives many
thousand labels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from lifecycle.features.sequence import (
    LOG_SCALE,
    NUM_FEATURES,
    QUERY_KIND,
    SequenceBatch,
    SequenceSettings,
)
from lifecycle.features.vocabulary import FIRST_KNOWN, Vocabulary
from lifecycle.llama.small_decoder import small_decoder
from lifecycle.llama.titles import TitleEncoder
from lifecycle.llama.value_head import ValueHead

# Columns of the features.
GAP = 1
AMOUNT = 0
EMBEDDING_STD = 0.1  # of new embeddings
LOG_SPREADS = (-3.0, 2.0)  # bounds of the predicted logarithms of spread


class SequenceModel(nn.Module):
    """Batches of positions to ZILN logits (b, 3) of the query, and the loss of what comes next at the events.

    With titles an item is the sum of what its title says and of what is its own, which starts at
    nothing: an item without an embedding of its own is still like those with a similar title.
    """

    titles: Tensor  # (titles, size), by position
    title_of_item: Tensor  # (items,)

    def __init__(
        self, settings: SequenceSettings, num_items: int, num_categories: int, title_size: int = 0
    ) -> None:
        super().__init__()
        size = settings.hidden_size
        self.item = nn.Embedding(num_items, size, padding_idx=0)
        self.category = nn.Embedding(num_categories, size, padding_idx=0)
        self.kind = nn.Embedding(QUERY_KIND + 1, size)
        self.features = nn.Linear(NUM_FEATURES, size)
        self.dropout = nn.Dropout(settings.dropout)
        self.decoder = small_decoder(settings, settings.max_events + 1)
        self.next_item = nn.Linear(size, size)
        # Location and log spread of the next log gap and log amount.
        self.next_numbers = nn.Linear(size, 4)
        self.head = ValueHead(size)
        for embedding in (self.item, self.category, self.kind):
            nn.init.normal_(embedding.weight, std=EMBEDDING_STD)
        self.title = nn.Linear(title_size, size, bias=False) if title_size else None
        if self.title is not None:
            nn.init.normal_(self.title.weight, std=EMBEDDING_STD / title_size**0.5)
            nn.init.zeros_(self.item.weight)

    def read_titles(self, vocabulary: Vocabulary, encoder: TitleEncoder) -> None:
        """Take in the titles of a vocabulary, among them those of items that came after training."""
        titles = encoder.vectors(vocabulary.titles)
        of_items = torch.tensor(vocabulary.title_of_item)
        self.register_buffer("titles", titles.to(self.item.weight), persistent=False)
        self.register_buffer(
            "title_of_item", of_items.to(self.item.weight.device), persistent=False
        )

    def hidden(
        self, item: Tensor, category: Tensor, title: Tensor, kind: Tensor, features: Tensor
    ) -> Tensor:
        """Hidden state of every position, shape (b, length, hidden)."""
        dtype = self.features.weight.dtype
        inputs = (
            self.item(item)
            + self.category(category)
            + self.kind(kind)
            + self.features(features.to(dtype))
        )
        if self.title is not None:
            inputs = inputs + self.title(self.titles[title])
        # Padding stands on the right, where causal attention never looks: no mask, and the fused kernel serves.
        states: Tensor = self.decoder(
            inputs_embeds=self.dropout(inputs), use_cache=False
        ).last_hidden_state
        return states

    def forward(
        self,
        item: Tensor,
        category: Tensor,
        title: Tensor,
        kind: Tensor,
        features: Tensor,
        lengths: Tensor,
        num_items: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """ZILN logits (b, 3) of each query, and the loss of the next events over `num_items` positions (0: none)."""
        hidden = self.hidden(item, category, title, kind, features)
        rows = torch.arange(len(lengths), device=lengths.device)
        logits = self.head(hidden[rows, lengths - 1])
        if not num_items:
            return logits, logits.new_zeros(())
        return logits, self._sampled_loss(hidden, item, features, lengths, num_items)

    def item_vectors(self) -> Tensor:
        """What each item of the vocabulary is compared by, shape (items, hidden)."""
        if self.title is None:
            return self.item.weight
        vectors: Tensor = self.item.weight + self.title(self.titles[self.title_of_item])
        return vectors

    def _sampled_loss(
        self, hidden: Tensor, item: Tensor, features: Tensor, lengths: Tensor, num_items: int
    ) -> Tensor:
        """Mean over events of the losses of the next gap and amount, and of the next item at a sample of events."""
        follows = (
            torch.arange(1, item.shape[1], device=item.device)[None, :] < (lengths - 1)[:, None]
        )
        rows, places = torch.nonzero(follows, as_tuple=True)
        known = torch.nonzero(item[rows, places + 1] >= FIRST_KNOWN).flatten()
        known = known[torch.randperm(len(known), device=known.device)[:num_items]]
        return self.next_event_loss(hidden, item, features, (rows, places), known)

    def next_event_loss(
        self,
        hidden: Tensor,
        item: Tensor,
        features: Tensor,
        events: tuple[Tensor, Tensor],
        known: Tensor,
    ) -> Tensor:
        """The losses after `events`, which are rows and places, (n,) each; of the next item after those in `known`.

        Where there are none it is 0, by the same steps: workers reduce gradients in the order in
        which they arise, so that every parameter must have one on every worker.
        """
        rows, places = events
        here = hidden[rows, places]
        after = features[rows, places + 1].float()
        numbers = self.next_numbers(here).float()
        gap = _normal_loss(after[:, GAP] * LOG_SCALE, numbers[:, 0], numbers[:, 1])
        amount = _normal_loss(after[:, AMOUNT] * LOG_SCALE, numbers[:, 2], numbers[:, 3])
        wanted = item[rows, places + 1][known]
        scores = self.next_item(here[known]) @ self.item_vectors().T
        scores[:, :FIRST_KNOWN] = -torch.inf
        next_item = functional.cross_entropy(scores.float(), wanted, reduction="sum") / max(
            len(known), 1
        )
        return gap + amount + next_item


def _normal_loss(value: Tensor, location: Tensor, log_spread: Tensor) -> Tensor:
    """Mean negative log-likelihood of a normal distribution, without its constant; 0 of no values."""
    low, high = LOG_SPREADS
    bounded = low + (high - low) * torch.sigmoid(log_spread)
    losses = bounded + 0.5 * ((value - location) / bounded.exp()) ** 2
    return losses.sum() / max(len(losses), 1)


def new_sequence_model(
    settings: SequenceSettings, vocabulary: Vocabulary, encoder: TitleEncoder | None
) -> SequenceModel:
    """A model with random weights for a vocabulary; without `encoder` it reads no titles."""
    size = 0 if encoder is None else encoder.size
    model = SequenceModel(settings, vocabulary.num_items, vocabulary.num_categories, size)
    if encoder is not None:
        model.read_titles(vocabulary, encoder)
    return model


def tensors(batch: SequenceBatch, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
    """The arguments of the model's forward pass."""
    arrays = batch.item, batch.category, batch.title, batch.kind, batch.features, batch.lengths
    return tuple(torch.from_numpy(array).to(device) for array in arrays)
