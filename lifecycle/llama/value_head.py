"""The head that every encoder shares: hidden state to the logits of a zero-inflated lognormal."""

import torch
from torch import Tensor, nn

from lifecycle.spend.ziln import starting_logits

NUM_LOGITS = 3


class ValueHead(nn.Module):
    """Linear layer from the last position's hidden state, shape (n, hidden), to ZILN logits (n, 3) of target / scale.

    Hidden states are normalised first: their size differs a lot between base models, and with it
    the step that a learning rate means.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, NUM_LOGITS)
        nn.init.zeros_(self.linear.weight)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits in float32 whatever the dtype of the decoder."""
        normal = nn.functional.layer_norm(hidden.float(), hidden.shape[-1:])
        return nn.functional.linear(normal, self.linear.weight.float(), self.linear.bias.float())

    def start_from(self, targets: Tensor) -> None:
        """Set the bias so that every customer starts at the distribution of `targets` (scaled, shape (n,))."""
        with torch.no_grad():
            self.linear.bias.copy_(starting_logits(targets))
