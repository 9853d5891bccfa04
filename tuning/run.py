"""Job: search the hyperparameters of a training recipe with Ray Tune; the same command resumes a killed search."""

import json
import logging

from lifecycle.config import Tree
from lifecycle.differences import differences
from lifecycle.folders import is_complete, read_stored, write_json, write_manifest
from lifecycle.jobs import run_job
from training.tasks.base_model import check_base_model
from training.tasks.recipes.union import load_recipe
from tuning.recipe import TuneConfig, check_trial, search_identity, search_made_from
from tuning.space import check_space, recipe_with
from tuning.tracking import tracked_search

logger = logging.getLogger(__name__)
SEARCH_KIND = "search"
CLAIM_FILE = "made_from.json"


def tune(config: TuneConfig) -> None:
    """Write trials.parquet, best.yaml and search.png; a complete output of the same search is left as it is."""
    base = load_recipe(config.base)
    check_space(base, config.space, config.overrides)
    trial = recipe_with(base, config.overrides)
    num_checkpoints = check_trial(config, trial)
    identity = search_identity(config, base)
    made_from = search_made_from(config, base)
    if is_complete(config.output, SEARCH_KIND, identity, made_from):
        logger.info("%s is complete already", config.output)
        return
    check_base_model(trial)
    _claim_output(config, identity, made_from)
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
    manifest = SearchManifest(identity=identity, made_from=made_from, **dict(found))
    write_manifest(config.output, SEARCH_KIND, manifest)


def _claim_output(config: TuneConfig, identity: str, made_from: Tree) -> None:
    """Save the recipe; ValueError where the folder holds an unfinished search of another one."""
    config.output.mkdir(parents=True, exist_ok=True)
    claim = config.output / "identity.txt"
    if claim.exists() and claim.read_text() != identity:
        told = config.output / CLAIM_FILE
        before = json.loads(told.read_text()) if told.exists() else {}
        named = ", ".join(differences(before, made_from)) if before else ""
        raise ValueError(
            f"{config.output} holds another search{named and f': {named}'}; "
            "go on with the recipe as it was, delete the folder or choose another output"
        )
    write_json(config.output / CLAIM_FILE, made_from)
    claim.write_text(identity)
    config.save(config.output / "config.yaml")


def main() -> None:
    """Entry point of `python -m tuning.run`."""
    run_job(TuneConfig.load, "tuning.run", tune)


if __name__ == "__main__":
    main()
