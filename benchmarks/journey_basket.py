"""The next basket on The Complete Journey: `python -m benchmarks.journey_basket`.

The task is each household's first basket on or after 2017-12-01, out of all 92,331 items. Truth are
its distinct items; recall@20 = hits / min(20, |truth|). Settings are those with the best NDCG@20 on
first baskets of November. The trees of rank_stack learn from five windows of 28 days that end before
the judged one begins; its members are fitted before each of them. Nothing of December is read before
the end. personal_frequency has plain counts; the best baseline is the best of the tuned rankers in
November.
"""

from pathlib import Path

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS
from lifecycle.jobs import start_logging
from lifecycle.names import RANK_STACK, RANKERS
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.rankings import Recommendation, judge_recommenders
from training.ingest.files.found import source_files
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

SPLIT = {"test_cutoff": "2017-12-01", "horizon_days": 30, "num_train_cutoffs": 2}
TASK = "next_basket"


def main() -> None:
    """Measure, print, write the evidence."""
    print(__doc__)
    start_logging()
    with scratch_folder() as folder:
        inputs, files = prepared(folder)
        found = judge_recommenders(inputs)
        numbers = numbers_of(found)
    write_evidence("journey_basket", numbers, seeds=[inputs.config.seed], data=files)


def prepared(folder: Path) -> tuple[Inputs, list[Path]]:
    """The shop before the arena of rankers, and its source files."""
    recipe = IngestConfig.load(CONFIGS / "journey_ingest.yaml")
    ingest(recipe.model_copy(update={"output": folder / "data", "quality_html": False}))
    places = {"data": folder / "data", "output": folder / "examples"}
    prepare(PrepareConfig.model_validate(SPLIT | places))
    arena = {"data": folder / "data", "examples": folder / "examples", "output": folder / "arena"}
    inputs = read_inputs(EvaluateConfig.model_validate(arena | {"models": RANKERS}))
    return inputs, [file for source in recipe.sources for file in source_files(source)]


def numbers_of(found: Recommendation) -> dict[str, Json]:
    """Metrics of the stack, of plain counts and of the baseline that was best in November, and all of them."""
    groups, chosen = found.recommendation[TASK], found.recommender
    everybody = groups["all"]
    rivals = {name: ndcg for name, ndcg in chosen.ndcg_at_20.items() if name != RANK_STACK}
    best = max(rivals, key=lambda name: rivals[name])
    of = {"": RANK_STACK, "personal_": "personal_frequency", "best_baseline_": best}
    numbers: dict[str, Json] = {"best_baseline": best, "chosen": chosen.model}
    for prefix, name in of.items():
        numbers[f"{prefix}recall@20"] = everybody[name].recall_at_20
        numbers[f"{prefix}ndcg@20"] = everybody[name].ndcg_at_20
    for prefix in ("personal_", "best_baseline_"):
        for metric in ("recall@20", "ndcg@20"):
            ours, theirs = numbers[metric], numbers[prefix + metric]
            assert isinstance(ours, float) and isinstance(theirs, float)
            numbers[f"{metric}_over_{prefix}"[:-1]] = ours / theirs
    assert chosen.rank_stack_gain is not None
    numbers["rank_stack_gain"] = chosen.rank_stack_gain.model_dump(by_alias=True, mode="json")
    numbers["validation_ndcg@20"] = dict(chosen.ndcg_at_20)
    numbers["settings"] = {name: dict(setting) for name, setting in chosen.settings.items()}
    numbers["groups"] = {
        group: {name: one.model_dump(by_alias=True) for name, one in models.items()}
        for group, models in groups.items()
    }
    return numbers


if __name__ == "__main__":
    main()
