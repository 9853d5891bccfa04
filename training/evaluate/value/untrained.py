"""What fine-tuning bought: text_llama beside the untrained base model with a linear probe, and beside plain ridge."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from lifecycle.features.standardisation import Standardisation
from lifecycle.llama.member import decoder_of
from lifecycle.metrics.value import paired_difference, value_metrics
from lifecycle.names import LLAMA
from lifecycle.spend.baselines import ridge_on, ridge_value
from training.distributed.map import map_rows
from training.distributed.members import HiddenActor
from training.evaluate.inputs import Inputs
from training.evaluate.value.windows import ExampleSets, target_of
from training.results.value import Differences, FineTuning, SpendMetrics

PROBE = "untrained_probe"
PROBE_SAME_LAYERS = "untrained_probe_same_layers"
RIDGE = "ridge_same_numbers"


def untrained_comparison(inputs: Inputs, sets: ExampleSets, tuned: np.ndarray) -> FineTuning:
    """Compare `tuned`, the member's predictions for all test customers, on a seeded sample of them.

    The whole base model is probed and, where the member keeps only its first layers, these alone
    too: lower layers often serve a linear probe better than the last.
    """
    config = inputs.config
    settings = decoder_of(inputs.members[LLAMA])
    generator = np.random.default_rng(config.seed)
    sample = _draw(generator, sets.test.height, config.untrained_customers)
    probe = _draw(generator, sets.train.height, config.probe_rows)
    prompts = pl.concat([sets.train[probe].select("prompt"), sets.test[sample].select("prompt")])
    depths: dict[str, int | None] = {PROBE: None}
    if settings.num_layers is not None:
        depths[PROBE_SAME_LAYERS] = settings.num_layers
    table = map_rows(
        prompts.to_arrow(),
        HiddenActor,
        {"settings": settings, "depths": list(depths.values())},
        label="read by the untrained LLaMA",
        num_workers=config.num_workers,
        block_rows=64,
    )
    hidden = {
        name: np.array(table[f"hidden_{position}"].to_pylist())
        for position, name in enumerate(depths)
    }
    scale = inputs.time_split.standardisation
    return fine_tuning_verdict(sets, sample, tuned, probe, hidden, scale, config.seed)


def _draw(generator: np.random.Generator, num_rows: int, count: int) -> np.ndarray:
    return np.sort(generator.choice(num_rows, min(count, num_rows), replace=False))


def fine_tuning_verdict(
    sets: ExampleSets,
    sample: np.ndarray,
    tuned: np.ndarray,
    probe_rows: np.ndarray,
    hidden: Mapping[str, np.ndarray],
    scale: Standardisation,
    seed: int,
) -> FineTuning:
    """Metrics of each model on the sampled test customers, and the paired differences with 95 % intervals.

    `sample` are positions among the test rows, `probe_rows` among the training rows; `hidden` has,
    by the name of a probe, the untrained model's hidden states of the probe rows followed by those
    of the sample. Ridge sees the numbers that the prompt shows, of all training rows, on the given
    scale.
    """
    actual = target_of(sets.test)[sample]
    ours = tuned[sample]
    train_target = target_of(sets.train)[probe_rows]
    others = {}
    for name, states in hidden.items():
        known, new = np.split(states, [len(probe_rows)])
        others[name] = _linear_probe(known, train_target, new, seed)
    others[RIDGE] = ridge_value(sets.train, sets.test, scale)[sample]
    minus: dict[str, Differences] = {}
    for name, other in others.items():
        minus[name] = {
            metric: paired_difference(actual, ours, other, metric, seed=seed)
            for metric in ("rmse", "gini", "mae")
        }
    models = {
        name: SpendMetrics.model_validate(value_metrics(actual, predicted))
        for name, predicted in {LLAMA: ours, **others}.items()
    }
    return FineTuning(
        num_customers=len(sample),
        num_probe_rows=len(probe_rows),
        models=models,
        text_llama_minus=minus,
    )


def _linear_probe(known: np.ndarray, target: np.ndarray, new: np.ndarray, seed: int) -> np.ndarray:
    """Ridge on standardised hidden states, its penalty chosen on a random half of the known rows; shape (n_new,)."""
    center = known.mean(axis=0)
    spread = known.std(axis=0) + 1e-6
    known = (known - center) / spread
    new = (new - center) / spread
    fitted, held = np.array_split(np.random.default_rng(seed).permutation(len(target)), 2)

    def squared_error(alpha: float) -> float:
        expected = ridge_on(known[fitted], target[fitted], known[held], alpha)
        return float(np.mean((expected - target[held]) ** 2))

    return ridge_on(known, target, new, min(10.0 ** np.arange(5), key=squared_error))
