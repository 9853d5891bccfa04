"""What answering costs without HTTP: `python -m benchmarks.predictor_speed`.

The artifact is the arena's of The Complete Journey without encoders. Values of one customer and of
128 are timed beside the bare calls on ready features: each booster of the champion once for the
batch, and once more for its contributions, all on one thread. Recommendations are those of what
serves and of simple rankers, for 128 customers over the whole catalogue. Look-ups are left out.
Medians of several runs, in turns. Customer state is made once for everybody.
"""

from dataclasses import replace
from functools import partial

import numpy as np
from lightgbm import Booster

from benchmarks.harness.asked import asked
from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS, prepare_shop
from benchmarks.harness.state import make_state
from benchmarks.harness.stopwatch import medians
from lifecycle.artifact.answers import examples_for
from lifecycle.jobs import start_logging
from lifecycle.names import RETRIEVER
from lifecycle.recommend.rankers import BASELINES
from lifecycle.spend.contributions import shap_values
from lifecycle.spend.stack_trees import stack_inputs
from serving.predict.predictor import Predictor
from serving.predict.queries import CustomerQuery, RecommendOptions
from serving.predict.recommendations import recommend
from serving.store.events import EventStore
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig

BATCH = 128


def main() -> None:
    """Measure, print, write the evidence."""
    start_logging()
    with scratch_folder() as folder:
        places, files = prepare_shop("journey", folder)
        recipe = EvaluateConfig.load(CONFIGS / "journey_evaluate.yaml")
        changes = {
            **places,
            "members": {},
            "ranking_members": {},
            "report_html": False,
            "output": folder / "arena",
        }
        evaluate(recipe.model_copy(update=changes))
        predictor = Predictor(folder / "arena" / "artifact")
        customers = asked(EventStore(places["data"]), folder, BATCH)
        numbers = value_numbers(predictor, customers) | recommend_numbers(predictor, customers)
        numbers |= make_state(folder / "state", folder / "arena" / "artifact", places["data"])
    write_evidence("predictor_speed", numbers, seeds=[0], data=files)


def value_numbers(predictor: Predictor, customers: list[CustomerQuery]) -> dict[str, Json]:
    """Milliseconds a customer of values, and over those of the bare calls, for one and for BATCH."""
    numbers: dict[str, Json] = {}
    for size in (1, BATCH):
        batch = customers[:size]
        bare = partial(bare_calls, *inputs_and_trees(predictor, batch))
        ours, theirs = medians(partial(predictor.value, batch), bare)
        numbers[f"value_ratio_to_lightgbm_{size}"] = ours / theirs
        numbers[f"value_ms_{size}"] = 1000 * ours / size
    return numbers


def bare_calls(inputs: np.ndarray, boosters: list[Booster]) -> None:
    """Each booster once, and once for its contributions."""
    for booster in boosters:
        booster.predict(inputs, raw_score=True, num_threads=1)
        shap_values(booster, inputs)


def inputs_and_trees(
    predictor: Predictor, batch: list[CustomerQuery]
) -> tuple[np.ndarray, list[Booster]]:
    """What the trees of the stack read of these customers, and the trees."""
    stack = predictor.artifact.models.stack
    assert stack is not None and predictor.artifact.settings.champion == "stack"
    events, cutoffs = predictor.with_cutoffs(batch)
    examples = examples_for(predictor.artifact, events, cutoffs)
    return stack_inputs(examples, stack.btyd, stack.horizon_days), list(stack.trees.values())


def recommend_numbers(predictor: Predictor, customers: list[CustomerQuery]) -> dict[str, Json]:
    """Milliseconds a customer of recommendations by the ranker that serves, and by each that may."""
    artifact = predictor.artifact
    assert artifact.rankers is not None
    by_ranker: dict[str, Json] = {}
    for name in (*BASELINES, RETRIEVER, *artifact.rankers.fitted):
        settings = replace(artifact.settings, recommender=name, recommender_by_group={})
        other = replace(artifact, settings=settings)
        (seconds,) = medians(partial(recommend, other, customers, RecommendOptions()))
        by_ranker[name] = 1000 * seconds / len(customers)
    return {
        "recommend_ms_128": by_ranker[str(artifact.settings.recommender)],
        "recommend_ms_128_by_ranker": by_ranker,
        "recommender": artifact.settings.recommender,
        "items": artifact.items.height,
    }


if __name__ == "__main__":
    main()
