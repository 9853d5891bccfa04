"""Job: search the hyperparameters of a training recipe with Ray Tune; the same command resumes a killed search."""

import logging

from lifecycle.folders import is_complete, read_stored, write_manifest
from lifecycle.jobs import run_job
from training.tasks.base_model import check_base_model
from training.tasks.recipes.union import load_recipe
from tuning.recipe import TuneConfig, check_trial, search_identity
from tuning.space import check_space, recipe_with
from tuning.tracking import tracked_search

logger = logging.getLogger(__name__)
SEARCH_KIND = "search"


def tune(config: TuneConfig) -> None:
    """Write trials.parquet, best.yaml and search.png; a complete output of the same search is left as it is."""
    base = load_recipe(config.base)
    check_space(base, config.space, config.overrides)
    trial = recipe_with(base, config.overrides)
    num_checkpoints = check_trial(config, trial)
    identity = search_identity(config, base)
    if is_complete(config.output, SEARCH_KIND, identity):
        logger.info("%s is complete already", config.output)
        return
    check_base_model(trial)
    _claim_output(config, identity)
    from tuning.results import (
        RESULT_FILE,
        SearchManifest,
        SearchResult,
        remove_state,
        write_results,
    )

    result = config.output / RESULT_FILE
    with tracked_search(config, trial, identity):
        if not result.exists():
            from tuning.search import run_search

            write_results(config, base, run_search(config, base, num_checkpoints))
    remove_state(config.output)
    found = read_stored(result, SearchResult)
    manifest = SearchManifest(identity=identity, **dict(found))
    write_manifest(config.output, SEARCH_KIND, manifest)


def _claim_output(config: TuneConfig, identity: str) -> None:
    """Save the recipe; ValueError where the folder holds an unfinished search of another one."""
    config.output.mkdir(parents=True, exist_ok=True)
    claim = config.output / "identity.txt"
    if claim.exists() and claim.read_text() != identity:
        raise ValueError(
            f"{config.output} holds another search; delete it or choose another output"
        )
    claim.write_text(identity)
    config.save(config.output / "config.yaml")


def main() -> None:
    """Entry point of `python -m tuning.run`."""
    run_job(TuneConfig.load, "tuning.run", tune)


if __name__ == "__main__":
    main()
