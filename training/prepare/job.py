"""Job: ingest folder to training, validation and test examples, point-in-time correct at every cutoff."""

import logging
from pathlib import Path

from lifecycle.config import Tree
from lifecycle.differences import content
from lifecycle.erasure.current import erasure_of, require_as_current, require_current
from lifecycle.events.shards import DataManifest, read_data_manifest
from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.features.sequence import SEQUENCE_VERSION
from lifecycle.features.standardisation import fit_standardisation
from lifecycle.folders import (
    FORMAT_VERSIONS,
    Manifest,
    fingerprint,
    is_complete,
    new_folder,
    write_json,
    write_manifest,
)
from training.prepare.cutoffs import Cutoffs, read_cutoffs
from training.prepare.dataset import (
    BACKTEST,
    DATASET_FILE,
    EXAMPLES_KIND,
    SAME_SEASON,
    Backtest,
    Dataset,
    LeaveOneOutDataset,
    NoBacktest,
    Selection,
)
from training.prepare.parts import TooFewCustomersError, write_parts
from training.prepare.recipe import PrepareConfig, backtest_recipe, same_season_recipe
from training.prepare.sequences import FOLDER as SEQUENCES
from training.prepare.sequences import read_sequences, training_customers
from training.prepare.splits import LEAVE_ONE_OUT, VALIDATION_PERCENT, leave_one_out

logger = logging.getLogger(__name__)
TIME_KEYS = (
    "test_cutoff",
    "horizon_days",
    "num_train_cutoffs",
    "train_cutoffs",
    "standardisation",
    "vocabulary",
    "backtest",
)


def prepare(config: PrepareConfig) -> None:
    """Write the examples folder; a complete one from the same recipe and data is left as it is."""
    data = read_data_manifest(config.data)
    require_current(config.data, data.erasure)
    made_from = _made_from(config, data)
    if is_complete(config.output, EXAMPLES_KIND, _identity(config, data), made_from):
        require_as_current(config.output, EXAMPLES_KIND, data.erasure)
        logger.info("%s is complete already", config.output)
        return
    with new_folder(config.output) as folder:
        dataset = _write_examples(config, data, folder)
    logger.info("%s: %s rows", config.output, dataset.num_rows)


def _identity(config: PrepareConfig, data: DataManifest) -> str:
    versions = [FORMAT_VERSIONS[EXAMPLES_KIND], FEATURES, PROMPT_VERSION, SEQUENCE_VERSION]
    return fingerprint([_recipe(config), data.identity, *versions])


def _recipe(config: PrepareConfig) -> Tree:
    ignored = set(TIME_KEYS) if config.split == LEAVE_ONE_OUT else set()
    return config.model_dump(mode="json", exclude={"output", "data", *ignored})


def _made_from(config: PrepareConfig, data: DataManifest) -> Tree:
    """What the identity stands for, key by key."""
    versions = {
        "num_features": len(FEATURES),
        "prompt_version": PROMPT_VERSION,
        "sequence_version": SEQUENCE_VERSION,
    }
    return _recipe(config) | content("data", data.identity) | versions


def _write_examples(
    config: PrepareConfig, data: DataManifest, folder: Path
) -> Dataset | LeaveOneOutDataset:
    """Write the parts of the examples, dataset.json and, last, the manifest."""
    dataset: Dataset | LeaveOneOutDataset
    if config.split == LEAVE_ONE_OUT:
        dataset = _leave_one_out(config, data, folder)
    else:
        dataset = _time_split(config, data, folder)
    config.save(folder / "prepare.yaml")
    write_json(folder / DATASET_FILE, dataset.model_dump(mode="json"))
    manifest = Manifest(
        identity=_identity(config, data),
        made_from=_made_from(config, data),
        erasure=erasure_of(data.erasure),
    )
    write_manifest(folder, EXAMPLES_KIND, manifest)
    return dataset


def _leave_one_out(config: PrepareConfig, data: DataManifest, folder: Path) -> LeaveOneOutDataset:
    ignored = sorted(config.model_fields_set & set(TIME_KEYS))
    if ignored:
        logger.warning(
            "split leave_one_out goes by the order of purchases and ignores %s", ", ".join(ignored)
        )
    num_rows = leave_one_out(config.data, folder, config.seed)
    return LeaveOneOutDataset(num_rows=num_rows, data_identity=data.identity, seed=config.seed)


def _time_split(config: PrepareConfig, data: DataManifest, folder: Path) -> Dataset:
    if config.train_cutoffs is not None and "num_train_cutoffs" in config.model_fields_set:
        logger.warning("num_train_cutoffs is ignored: the recipe gives train_cutoffs")
    cutoffs = read_cutoffs(config)
    parts = write_parts(config, cutoffs, folder)
    stored = read_sequences(folder / SEQUENCES)
    customers = training_customers(stored, cutoffs.train[-1], config.seed)
    train = folder / "train.parquet"
    earlier = (config, cutoffs.first_purchase, cutoffs.test, len(cutoffs.train))
    return Dataset(
        test_cutoff=cutoffs.test,
        horizon_days=config.horizon_days,
        train_cutoffs=cutoffs.train,
        selection=_selection(cutoffs),
        features=FEATURES,
        categories=parts.categories,
        standardisation=fit_standardisation(train, FEATURES, config.standardisation),
        prompt_version=PROMPT_VERSION,
        sequence_version=SEQUENCE_VERSION,
        num_rows=parts.num_rows | {"train_customers": len(customers)},
        backtest=_backtest(backtest_recipe(*earlier), cutoffs, data, folder / BACKTEST),
        same_season=_backtest(same_season_recipe(*earlier), cutoffs, data, folder / SAME_SEASON),
        data_identity=data.identity,
        seed=config.seed,
        money_unit=parts.money_unit,
    )


def _selection(cutoffs: Cutoffs) -> Selection:
    """Which rows models are chosen on, and why those."""
    why = f"customers that no training row shows, {VALIDATION_PERCENT} % by stable hash"
    if cutoffs.earlier is None:
        why += f"; the data begin too late for a disjoint earlier window: {cutoffs.first_purchase}"
    return Selection(
        windows=("val",) if cutoffs.earlier is None else ("selection", "val"),
        cutoff=cutoffs.train[-1],
        earlier_cutoff=cutoffs.earlier,
        why=why,
    )


def _backtest(
    recipe: PrepareConfig | None, cutoffs: Cutoffs, data: DataManifest, folder: Path
) -> Backtest | NoBacktest:
    """Write the examples of an earlier test cutoff to `folder`; says which it is, or why there is none."""
    if recipe is None or recipe.test_cutoff is None:
        first = cutoffs.first_purchase
        return NoBacktest(why=f"not asked for, or the purchases begin too late: {first}")
    logger.info(
        "the same for a backtest at %s, over %d days", recipe.test_cutoff, recipe.horizon_days
    )
    try:
        with new_folder(folder) as inner:
            _write_examples(recipe, data, inner)
    except TooFewCustomersError as error:
        logger.warning("no backtest: %s", error)
        return NoBacktest(why=str(error))
    return Backtest(test_cutoff=recipe.test_cutoff, horizon_days=recipe.horizon_days)
