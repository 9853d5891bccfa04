"""What a training run is known by, and what the manifest of its member says."""

from dataclasses import dataclass
from pathlib import Path

from pydantic_core import to_jsonable_python

from lifecycle.config import Tree
from lifecycle.differences import content
from lifecycle.features.baskets import NEXT_ITEM_VERSION
from lifecycle.features.sequence import SEQUENCE_VERSION, SequenceSettings
from lifecycle.folders import fingerprint
from lifecycle.llama.member import (
    BaseModelIdentity,
    MemberManifest,
    base_model_identity,
    is_sequence,
    read_member,
)
from lifecycle.names import LLAMA, RERANKER, SEQUENCE_LLAMA
from lifecycle.recommend.prompts import RERANK_PROMPT_VERSION
from training.prepare.dataset import (
    Dataset,
    examples_identity,
    read_any_dataset,
    read_dataset,
    require_prepared_from,
)
from training.recipe import PATHS
from training.tasks.conversations import conversations_identity
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import TrainConfig, settings_of_other_encoder

FAILURE_LIMITS = {"max_failures", "start_timeout_seconds", "keep_checkpoints", "min_workers"}
# Keys that change how fast a run is, and what it learns by rounding errors alone.
SPEED = {"num_workers", "cpus_per_worker"}


@dataclass(frozen=True)
class RunOrigin:
    """What a run is made from: one fingerprint, and key by key what it stands for."""

    identity: str
    made_from: Tree


def run_identity(config: TrainConfig) -> str:
    """Fingerprint of what decides the trained weights; see `run_origin`."""
    return run_origin(config).identity


def run_origin(config: TrainConfig) -> RunOrigin:
    """What decides the trained weights: the recipe, the data of the task and the base model.

    Where files lie does not decide them, nor how failures are met and where the run is tracked: a
    run that gave up may go on with other limits, and a server may move. Nor do the number of
    workers and, where checkpoints hold whole tensors, how ZeRO shards them; in the fingerprint
    their defaults stand for any others. So do the settings of the other encoder: recipes of task
    value once had them all.
    """
    recipe = config.model_dump(mode="json", exclude={*PATHS, *FAILURE_LIMITS, "tracking"})
    fast = SPEED | ({"zero"} if config.gathered_checkpoints else set())
    data = data_identity(config)
    base_model = _sha256(_base_model(config))
    start = _start_identity(config)
    name_of_data = "conversations" if isinstance(config, SftRecipe) else "examples"
    made_from = (
        {name: value for name, value in recipe.items() if name not in fast}
        | content(name_of_data, data)
        | content("base_model", base_model)
        | content("start_from", start[0] if start else None)
    )
    for name in fast:
        recipe[name] = to_jsonable_python(type(config).model_fields[name].default)
    for name, field in settings_of_other_encoder(type(config)).items():
        recipe[name] = to_jsonable_python(field.default)
    return RunOrigin(fingerprint([recipe, data, base_model, *start]), made_from)


def _start_identity(config: TrainConfig) -> list[str]:
    """What the member to start from is known by, if there is one."""
    if not isinstance(config, SequenceRecipe) or config.start_from is None:
        return []
    return [_start_member(config, config.start_from).identity]


def _start_member(config: SequenceRecipe, folder: Path) -> MemberManifest:
    """The manifest of the member to start from.

    ValueError where the recipe's encoder is another than it holds, or where it knows what came
    after the recipe's test cutoff in the same data. Of the same shop ingested at another time this
    cannot be told.
    """
    manifest = read_member(folder)
    if not is_sequence(manifest):
        raise ValueError(f"start_from: {folder} holds a {manifest.name}, not a sequence encoder")
    settings = SequenceSettings.model_validate(manifest.recipe["sequence"])
    for name in ("hidden_size", "num_layers", "num_heads"):
        wanted = getattr(config.sequence, name)
        found = getattr(settings, name)
        if wanted != found:
            raise ValueError(
                f"start_from: {folder} has sequence.{name} {found}, the recipe {wanted}"
            )
    if _sha256(manifest.titles_by) != _sha256(_base_model(config)):
        raise ValueError(
            f"start_from: titles of {folder} are read by another base_model than the recipe's, or by none"
        )
    dataset = read_dataset(config.examples)
    learned = manifest.test_cutoff
    if manifest.data_identity == dataset.data_identity and learned is not None:
        if learned > dataset.test_cutoff:
            raise ValueError(
                f"start_from: {folder} learned what came before {learned}, "
                f"the recipe's test is at {dataset.test_cutoff}"
            )
    return manifest


def _base_model(config: TrainConfig) -> BaseModelIdentity | None:
    return None if config.base_model is None else base_model_identity(config.base_model)


def _sha256(base_model: BaseModelIdentity | None) -> str | None:
    return None if base_model is None else base_model.sha256


def data_identity(config: TrainConfig) -> str:
    """What the examples or the conversations of a recipe are known by."""
    if isinstance(config, SftRecipe):
        return conversations_identity(
            config.conversations, config.validation_conversations, config.base_model
        )
    by_item = isinstance(config, NextItemRecipe | RerankRecipe)
    read = read_any_dataset if by_item else read_dataset
    require_prepared_from(config.examples, read(config.examples), config.data)
    return examples_identity(config.examples)


def member_manifest(config: TrainConfig, metrics: dict[str, float]) -> MemberManifest:
    """The manifest of the member that a recipe has trained."""
    if isinstance(config, SftRecipe):
        return _language_manifest(config, metrics)
    if isinstance(config, SequenceRecipe | NextItemRecipe):
        return _sequence_manifest(config, metrics)
    return _text_manifest(config, metrics)


def _text_manifest(config: TextRecipe | RerankRecipe, metrics: dict[str, float]) -> MemberManifest:
    dataset = read_any_dataset(config.examples)
    times = dataset if isinstance(dataset, Dataset) else None
    of_value = times if isinstance(config, TextRecipe) else None
    origin = run_origin(config)
    return MemberManifest(
        identity=origin.identity,
        made_from=origin.made_from,
        task=config.task,
        encoder=config.encoder,
        name=RERANKER if isinstance(config, RerankRecipe) else LLAMA,
        base_model=base_model_identity(config.base_model),
        num_layers=config.num_layers if isinstance(config, TextRecipe) else None,
        max_tokens=config.max_tokens,
        prompt_version=RERANK_PROMPT_VERSION if of_value is None else of_value.prompt_version,
        horizon_days=None if of_value is None else of_value.horizon_days,
        dataset=data_identity(config),
        data_identity=dataset.data_identity,
        test_cutoff=None if times is None else times.test_cutoff,
        recipe=config.model_dump(mode="json", exclude={"tracking"}),
        metrics=metrics,
    )


def _sequence_manifest(
    config: SequenceRecipe | NextItemRecipe, metrics: dict[str, float]
) -> MemberManifest:
    dataset = read_any_dataset(config.examples)
    times = (
        dataset if isinstance(dataset, Dataset) else None
    )  # examples of next items may have none
    is_value = isinstance(config, SequenceRecipe)
    origin = run_origin(config)
    return MemberManifest(
        identity=origin.identity,
        made_from=origin.made_from,
        task=config.task,
        encoder=config.encoder,
        name=SEQUENCE_LLAMA,
        sequence_version=SEQUENCE_VERSION if is_value else NEXT_ITEM_VERSION,
        titles_by=_base_model(config),
        horizon_days=times.horizon_days if times is not None and is_value else None,
        dataset=data_identity(config),
        data_identity=dataset.data_identity,
        test_cutoff=None if times is None else times.test_cutoff,
        recipe=config.model_dump(mode="json", exclude={"tracking"}),
        metrics=metrics,
    )


def _language_manifest(config: SftRecipe, metrics: dict[str, float]) -> MemberManifest:
    origin = run_origin(config)
    return MemberManifest(
        identity=origin.identity,
        made_from=origin.made_from,
        task=config.task,
        encoder=config.encoder,
        name=f"{LLAMA}_{config.adapter}",
        adapter=config.adapter,
        base_model=base_model_identity(config.base_model),
        num_layers=None,
        max_tokens=config.max_tokens,
        dataset=data_identity(config),
        recipe=config.model_dump(mode="json", exclude={*PATHS, "tracking"}),
        metrics=metrics,
    )
