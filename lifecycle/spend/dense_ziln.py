"""Dense ZILN: a small network on FEATURES with a zero-inflated lognormal head (arXiv 1912.07753)."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lifecycle.features.numbers import FEATURES
from lifecycle.features.standardisation import Standardisation
from lifecycle.spend.ziln import expectation, starting_logits, ziln_loss

WEIGHTS_FILE, SETTINGS_FILE = "ziln.safetensors", "ziln.json"
HIDDEN = (64, 32)
BATCH_ROWS, LEARNING_RATE, WEIGHT_DECAY = 256, 2e-3, 0.01
EPOCHS, LEAST_STEPS, MOST_STEPS = 30, 200, 3000
LEAST_DEVIATION = 1e-6  # of inputs, which have one of 1 if they vary at all
LARGEST_INPUT = 4.0  # deviations from the mean: farther out the lognormal's mean would run away


@dataclass(frozen=True)
class DenseZiln:
    """The network, the scale of its inputs, and the spend that its targets were divided by."""

    network: nn.Sequential
    scale: Standardisation
    unit: float


def fit_dense_ziln(examples: pl.DataFrame, scale: Standardisation, *, seed: int) -> DenseZiln:
    """The network after EPOCHS on rows of several cutoffs, of which somebody must spend something."""
    target = torch.tensor(examples["target"].to_numpy(), dtype=torch.float32)
    unit = float(target[target > 0].double().log().mean().exp())
    inputs, target = _inputs(scale, examples), target / unit
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network()
    first, last = network[0], network[-1]
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(starting_logits(target))
    num_steps = min(max(EPOCHS * len(target) // BATCH_ROWS, LEAST_STEPS), MOST_STEPS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    for step in range(num_steps):
        optimizer.param_groups[0]["lr"] = (
            LEARNING_RATE * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))
        )
        rows = torch.randint(len(target), (BATCH_ROWS,), generator=generator)
        loss = ziln_loss(network(inputs[rows]), target[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        first.weight[:, inputs.std(dim=0) < LEAST_DEVIATION] = (
            0  # what never varied has taught nothing
        )
    return DenseZiln(network.eval(), scale, unit)


@torch.inference_mode()
def dense_ziln_value(model: DenseZiln, examples: pl.DataFrame) -> np.ndarray:
    """Expected spend over the horizon, shape (n,)."""
    value: np.ndarray = (
        expectation(model.network(_inputs(model.scale, examples))).double().numpy() * model.unit
    )
    return value


def save_dense_ziln(model: DenseZiln, folder: Path) -> None:
    """Write the weights as safetensors, scale and unit as JSON."""
    save_file(model.network.state_dict(), folder / WEIGHTS_FILE)
    (folder / SETTINGS_FILE).write_text(
        json.dumps({"unit": model.unit, "scale": model.scale.describe()})
    )


def load_dense_ziln(folder: Path) -> DenseZiln:
    """What `save_dense_ziln` wrote."""
    content = json.loads((folder / SETTINGS_FILE).read_text())
    network = _network()
    network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    return DenseZiln(network.eval(), Standardisation.read(content["scale"]), content["unit"])


def _network() -> nn.Sequential:
    sizes = (len(FEATURES), *HIDDEN)
    layers = [
        layer
        for a, b in zip(sizes, sizes[1:], strict=False)
        for layer in (nn.Linear(a, b), nn.ReLU())
    ]
    return nn.Sequential(*layers, nn.Linear(HIDDEN[-1], 3))


def _inputs(scale: Standardisation, examples: pl.DataFrame) -> Tensor:
    numbers = np.clip(scale.apply(examples, FEATURES), -LARGEST_INPUT, LARGEST_INPUT)
    return torch.tensor(numbers, dtype=torch.float32)
