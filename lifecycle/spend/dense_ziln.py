"""Dense ZILN: a small network on FEATURES with a zero-inflated lognormal head (arXiv 1912.07753)."""

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lifecycle.features.numbers import FEATURES
from lifecycle.features.standardisation import Standardisation
from lifecycle.spend.model import Past
from lifecycle.spend.ziln import expectation, starting_logits, ziln_loss

WEIGHTS_FILE = "ziln.safetensors"
SETTINGS_FILE = "ziln.json"
HIDDEN = (64, 32)
BATCH_ROWS = 256
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01
EPOCHS = 30
LEAST_STEPS = 200
MOST_STEPS = 3000
LEAST_DEVIATION = 1e-6  # of inputs, which have one of 1 if they vary at all
LARGEST_INPUT = 4.0  # deviations from the mean: farther out the lognormal's mean would run away


@dataclass(frozen=True)
class DenseZiln:
    """The network, the scale of its inputs, and the spend that its targets were divided by."""

    network: nn.Sequential
    scale: Standardisation
    unit: float

    @classmethod
    def fit(cls, past: Past, *, seed: int) -> Self | None:
        """The network after EPOCHS on rows of several cutoffs, of which somebody must spend something.

        None without the scale of FEATURES.
        """
        if past.scale is None:
            return None
        target = torch.tensor(past.train["target"].to_numpy(), dtype=torch.float32)
        unit = float(target[target > 0].double().log().mean().exp())
        inputs = _inputs(past.scale, past.train)
        return cls(_trained(inputs, target / unit, seed), past.scale, unit)

    @torch.inference_mode()
    def expected_spend(self, rows: pl.DataFrame) -> np.ndarray:
        """Expected spend over the horizon, shape (n,)."""
        expected = expectation(self.network(_inputs(self.scale, rows)))
        value: np.ndarray = expected.double().numpy() * self.unit
        return value

    def no_purchase(self, rows: pl.DataFrame) -> None:
        """Its share of zeros is of spend, and is not calibrated as a probability of churn."""

    def contributions(self, rows: pl.DataFrame) -> None:
        """It is explained by events."""

    def save(self, folder: Path) -> None:
        """Write the weights as safetensors, scale and unit as JSON."""
        save_file(self.network.state_dict(), folder / WEIGHTS_FILE)
        settings = {"unit": self.unit, "scale": self.scale.describe()}
        (folder / SETTINGS_FILE).write_text(json.dumps(settings))

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where it is not there."""
        if not (folder / SETTINGS_FILE).exists():
            return None
        settings = json.loads((folder / SETTINGS_FILE).read_text())
        network = _network()
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        return cls(network.eval(), Standardisation.read(settings["scale"]), settings["unit"])


def _trained(inputs: Tensor, target: Tensor, seed: int) -> nn.Sequential:
    """A network fitted to targets in units of typical spend; its last bias begins at their distribution."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network()
    first = network[0]
    last = network[-1]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(starting_logits(target))
    num_steps = min(max(EPOCHS * len(target) // BATCH_ROWS, LEAST_STEPS), MOST_STEPS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step in range(num_steps):
        decay = 0.5 * (1.0 + math.cos(math.pi * step / num_steps))
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * decay
        rows = torch.randint(len(target), (BATCH_ROWS,), generator=generator)
        loss = ziln_loss(network(inputs[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    never_varied = inputs.std(dim=0) < LEAST_DEVIATION
    with torch.no_grad():
        first.weight[:, never_varied] = 0  # it has taught nothing
    return network.eval()


def _network() -> nn.Sequential:
    sizes = (len(FEATURES), *HIDDEN)
    layers: list[nn.Module] = []
    for width, next_width in pairwise(sizes):
        layers += [nn.Linear(width, next_width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(HIDDEN[-1], 3))


def _inputs(scale: Standardisation, examples: pl.DataFrame) -> Tensor:
    numbers = np.clip(scale.apply(examples, FEATURES), -LARGEST_INPUT, LARGEST_INPUT)
    return torch.tensor(numbers, dtype=torch.float32)
