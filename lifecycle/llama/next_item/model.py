"""The next-item encoder: a LLaMA-architecture decoder over purchases, trained from scratch, outputs tied to inputs.

An item's vector is what is its own, what its category says and, with titles, what its title says.
The same vectors are read and compared with: the hidden state after a purchase times an item's
vector is the item's logit. Items without a vector of their own share one.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaModel

from lifecycle.features.baskets import BasketBatch, NextItemSettings
from lifecycle.features.vocabulary import FIRST_KNOWN, NONE, UNKNOWN, Vocabulary
from lifecycle.llama.small_decoder import small_decoder
from lifecycle.llama.titles import TitleEncoder

INITIAL_STD = 0.02  # of item vectors, as of a LLaMA's token embeddings
MAX_SCORE = 20.0  # of an earlier purchase; its exponential must not overflow


class NextItemModel(nn.Module):
    """Purchases to logits of what is bought next; see the module."""

    own_of: Tensor  # (items + 1,) by an item's number
    category_of: Tensor
    title_of: Tensor
    titles: Tensor  # (titles, size), by position

    def __init__(
        self, settings: NextItemSettings, vocabulary: Vocabulary, title_size: int = 0
    ) -> None:
        super().__init__()
        size = settings.hidden_size
        self.num_items = vocabulary.table.height
        self.own = nn.Embedding(vocabulary.num_items, size)
        has_categories = vocabulary.num_categories > FIRST_KNOWN
        self.category = nn.Embedding(vocabulary.num_categories, size) if has_categories else None
        self.title = nn.Linear(title_size, size, bias=False) if title_size else None
        self.gap = nn.Linear(1, size)
        self.dropout = nn.Dropout(settings.dropout)
        self.decoder = _decoder(settings)
        self.repeats = Repeats(size) if settings.repeats else None
        nn.init.normal_(self.own.weight, std=INITIAL_STD)
        nn.init.normal_(self.gap.weight, std=INITIAL_STD)
        nn.init.zeros_(self.gap.bias)
        if self.category is not None:
            nn.init.zeros_(self.category.weight)
        if self.title is not None:
            nn.init.normal_(self.title.weight, std=INITIAL_STD / title_size**0.5)
        for name, of_nothing in (("item", UNKNOWN), ("category", NONE), ("title", NONE)):
            numbers = torch.tensor([of_nothing, *vocabulary.table[name].to_list()])
            buffer = "own_of" if name == "item" else f"{name}_of"
            self.register_buffer(buffer, numbers, persistent=False)

    def read_titles(self, vocabulary: Vocabulary, encoder: TitleEncoder) -> None:
        """Take in the titles of a vocabulary."""
        self.register_buffer("titles", encoder.vectors(vocabulary.titles), persistent=False)

    def vectors(self, numbers: Tensor) -> Tensor:
        """The vectors of items by their numbers, shape (..., hidden)."""
        vectors = self.own(self.own_of[numbers])
        if self.category is not None:
            vectors = vectors + self.category(self.category_of[numbers])
        if self.title is not None:
            vectors = vectors + self.title(self.titles[self.title_of[numbers]])
        return cast(Tensor, vectors)

    def forward(self, item: Tensor, gap: Tensor, places: Tensor, candidates: Tensor) -> Tensor:
        """Logits in float32, shape (n, c), of c items by number after the purchases at n flat `places`."""
        read = self.vectors(item)
        inputs = self.dropout(read + self.gap(gap[..., None].to(read.dtype)))
        # Padding stands on the right, where causal attention never looks: no mask, and the fused kernel serves.
        hidden = self.decoder(inputs_embeds=inputs, use_cache=False).last_hidden_state
        states = hidden.flatten(0, 1).index_select(0, places)
        logits: Tensor = states @ self.vectors(candidates).T
        if self.repeats is None:
            return logits.float()
        columns = history_columns(item, places, candidates, self.num_items)
        added: Tensor = self.repeats(hidden, places, columns, len(candidates))
        return logits.float() + added


class Repeats(nn.Module):
    """What earlier purchases of an item add to its logit: log(1 + sum of exp of an attention to each of them).

    So the model may copy from a history as well as choose anew, as RepeatNet does (arXiv
    1812.02646). How much one purchase counts follows from what it was, from the state, and from how
    many others came after it.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.query = nn.Linear(size, size, bias=False)
        self.key = nn.Linear(size, size, bias=False)
        self.level_and_slope = nn.Linear(size, 2)
        nn.init.normal_(self.query.weight, std=INITIAL_STD)
        nn.init.zeros_(self.level_and_slope.weight)
        nn.init.zeros_(self.level_and_slope.bias)

    def forward(self, hidden: Tensor, places: Tensor, columns: Tensor, num_columns: int) -> Tensor:
        """To be added to logits, shape (n, num_columns); `columns` as of `history_columns`."""
        length = hidden.shape[1]
        attended = self.query(hidden) @ self.key(hidden).transpose(1, 2) / hidden.shape[2] ** 0.5
        own = self.level_and_slope(hidden).flatten(0, 1).index_select(0, places)
        since = places[:, None] % length - torch.arange(length, device=places.device)
        age = since.clamp(min=0).to(hidden.dtype).log1p()
        scores = attended.flatten(0, 1).index_select(0, places) + own[:, :1] - own[:, 1:] * age
        counts = scores.float().clamp(max=MAX_SCORE).exp()
        sums = counts.new_zeros(len(places), num_columns + 1).scatter_add(1, columns, counts)
        added: Tensor = sums[:, :num_columns].log1p()
        return added


def history_columns(item: Tensor, places: Tensor, candidates: Tensor, num_items: int) -> Tensor:
    """Where the purchases up to each of n flat places stand among c candidates, shape (n, length); c: nowhere."""
    length = item.shape[1]
    nowhere = len(candidates)
    column_of = torch.full((num_items + 1,), nowhere, device=item.device)
    column_of[candidates] = torch.arange(nowhere, device=item.device)
    columns = column_of[item].index_select(0, places // length)
    is_later = torch.arange(length, device=item.device) > (places % length)[:, None]
    return columns.masked_fill(is_later, nowhere)


class ConvolvedAttention(nn.Module):
    """Attention, mixed half and half with a causal depthwise convolution that starts as a mean; then dropout.

    The convolution is a low-pass filter over the latest purchases, which attention has to learn
    first; compare BSARec (arXiv 2312.10325).
    """

    def __init__(self, attention: nn.Module, size: int, taps: int, dropout: float) -> None:
        super().__init__()
        self.attention = attention
        self.taps = nn.Parameter(torch.full((taps, size), 1 / taps)) if taps else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_states: Tensor, **settings: object) -> tuple[Tensor, Tensor | None]:
        """As the attention of a layer of LLaMA."""
        attended, weights = self.attention(hidden_states, **settings)
        if self.taps is not None:
            attended = (attended + causal_convolution(hidden_states, self.taps)) / 2
        return self.dropout(attended), weights


def causal_convolution(hidden: Tensor, taps: Tensor) -> Tensor:
    """Each dimension's weighted sum of positions up to each, shape (b, length, hidden); the last tap is now."""
    num_taps = len(taps)
    padded = functional.pad(hidden, (0, 0, num_taps - 1, 0))
    length = hidden.shape[1]
    result = padded[:, :length] * taps[0]
    for tap in range(1, num_taps):
        result = result + padded[:, tap : tap + length] * taps[tap]
    return result


def _decoder(settings: NextItemSettings) -> LlamaModel:
    decoder = small_decoder(settings, settings.max_events, attention_dropout=settings.dropout)
    for layer in decoder.layers:
        layer.self_attn = ConvolvedAttention(
            layer.self_attn, settings.hidden_size, settings.convolution_taps, settings.dropout
        )
        layer.mlp = nn.Sequential(layer.mlp, nn.Dropout(settings.dropout))
    return decoder


@dataclass(frozen=True)
class Wanted:
    """p pairs of a row of logits and a column of it that holds a bought item."""

    row: Tensor
    column: Tensor


@dataclass(frozen=True)
class Sampled:
    """Of c sampled columns how many items each stands for, as logarithms (c,); where histories stand, (n, length)."""

    weights: Tensor
    columns: Tensor


def next_item_loss(logits: Tensor, sampled: Sampled | None, wanted: Wanted) -> Tensor:
    """Mean over the pairs of -log softmax of logits (n, c); `sampled` is None where the columns are all items.

    Items bought next or before stand for themselves and the others for what they were drawn out of,
    so that each row's sum of exponentials is in the mean that over all items: log-Q correction
    without its bias at the bought item (arXiv 2507.09331).
    """
    places = wanted.row * logits.shape[1] + wanted.column
    if sampled is not None:
        is_certain = torch.zeros(
            len(logits), logits.shape[1] + 1, dtype=torch.bool, device=logits.device
        )
        is_certain.scatter_(1, sampled.columns, True)
        is_certain[wanted.row, wanted.column] = True
        logits = torch.where(is_certain[:, :-1], logits, logits + sampled.weights)
    # Backward of index_select takes a tenth of the time of that of an index in brackets.
    return -logits.log_softmax(dim=1).flatten().index_select(0, places).mean()


def new_next_item_model(
    settings: NextItemSettings, vocabulary: Vocabulary, encoder: TitleEncoder | None
) -> NextItemModel:
    """A model with random weights for a vocabulary; without `encoder` it reads no titles."""
    model = NextItemModel(settings, vocabulary, 0 if encoder is None else encoder.size)
    if encoder is not None:
        model.read_titles(vocabulary, encoder)
    return model


def tensors(batch: BasketBatch, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """The first two arguments of the model's forward pass."""
    return torch.from_numpy(batch.item).to(device), torch.from_numpy(batch.gap).to(device)
