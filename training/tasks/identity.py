"""What a training run is known by, and what the manifest of its member says."""

from pathlib import Path

from pydantic_core import to_jsonable_python

from lifecycle.features.sequence import SEQUENCE_VERSION, SequenceSettings
from lifecycle.folders import fingerprint, read_manifest
from lifecycle.llama.member import base_model_identity, is_sequence, read_member
from training.prepare.dataset import EXAMPLES_KIND, read_dataset
from training.recipe import PATHS
from training.tasks.conversations import conversations_identity
from training.tasks.recipes.decoder import DecoderRecipe
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import TrainConfig, ValueRecipe, settings_of_other_encoder

FAILURE_LIMITS = {"max_failures", "start_timeout_seconds", "keep_checkpoints", "min_workers"}


def run_identity(config: TrainConfig) -> str:
    """Fingerprint of what decides the trained weights: the recipe, the data of the task and the base model.

    Where files lie does not decide them, nor how failures are met and where the run is tracked: a
    run that gave up may go on with other limits, and a server may move. The settings of both
    encoders belong to it: recipes of task value once had them all.
    """
    recipe = config.model_dump(mode="json", exclude={*PATHS, *FAILURE_LIMITS, "tracking"})
    for name, field in settings_of_other_encoder(type(config)).items():
        recipe[name] = to_jsonable_python(field.default)
    base_model = config.base_model and base_model_identity(config.base_model)["sha256"]
    return fingerprint([recipe, data_identity(config), base_model, *_start_identity(config)])


def _start_identity(config: TrainConfig) -> list[object]:
    """What the member to start from is known by, if there is one."""
    if not isinstance(config, SequenceRecipe) or config.start_from is None:
        return []
    return [_start_member(config, config.start_from)["identity"]]


def _start_member(config: SequenceRecipe, folder: Path) -> dict[str, object]:
    """The manifest of the member to start from.

    ValueError where the recipe's encoder is another than it holds, or where it knows what came
    after the recipe's test cutoff in the same data. Of the same shop ingested at another time this
    cannot be told.
    """
    manifest = read_member(folder)
    if not is_sequence(manifest):
        raise ValueError(f"start_from: {folder} holds a {manifest['name']}, not a sequence encoder")
    recipe = manifest["recipe"]
    assert isinstance(recipe, dict)
    settings = SequenceSettings.model_validate(recipe["sequence"])
    for name in ("hidden_size", "num_layers", "num_heads"):
        wanted, found = getattr(config.sequence, name), getattr(settings, name)
        if wanted != found:
            raise ValueError(
                f"start_from: {folder} has sequence.{name} {found}, the recipe {wanted}"
            )
    titles_by = config.base_model and base_model_identity(config.base_model)
    theirs, ours = (
        found["sha256"] if isinstance(found, dict) else None
        for found in (manifest["titles_by"], titles_by)
    )
    if theirs != ours:
        raise ValueError(
            f"start_from: titles of {folder} are read by another base_model than the recipe's, or by none"
        )
    dataset = read_dataset(config.examples)
    if manifest.get("data_identity") == dataset["data_identity"]:
        learned, test = str(manifest["test_cutoff"]), str(dataset["test_cutoff"])
        if learned > test:
            raise ValueError(
                f"start_from: {folder} learned what came before {learned}, the recipe's test is at {test}"
            )
    return manifest


def data_identity(config: TrainConfig) -> object:
    """What the examples or the conversations of a recipe are known by."""
    if isinstance(config, SftRecipe):
        return conversations_identity(
            config.conversations, config.validation_conversations, config.base_model
        )
    return read_manifest(config.examples, EXAMPLES_KIND)["identity"]


def member_content(config: TrainConfig) -> dict[str, object]:
    """What the manifest of the trained member says besides its metrics and files."""
    of_task = _language_content(config) if isinstance(config, SftRecipe) else _value_content(config)
    return {
        "identity": run_identity(config),
        "task": config.task,
        "encoder": config.encoder,
        **of_task,
    }


def _value_content(config: ValueRecipe) -> dict[str, object]:
    dataset = read_dataset(config.examples)
    return {
        "name": f"{config.encoder}_llama",
        **(
            _text_content(config, dataset)
            if isinstance(config, TextRecipe)
            else _sequence_content(config)
        ),
        "horizon_days": dataset["horizon_days"],
        "dataset": read_manifest(config.examples, EXAMPLES_KIND)["identity"],
        "data_identity": dataset["data_identity"],
        "test_cutoff": dataset["test_cutoff"],
        "recipe": config.model_dump(mode="json", exclude={"tracking"}),
    }


def _text_content(config: TextRecipe, dataset: dict[str, object]) -> dict[str, object]:
    return {**_decoder_content(config), "prompt_version": dataset["prompt_version"]}


def _sequence_content(config: SequenceRecipe) -> dict[str, object]:
    titles_by = config.base_model and base_model_identity(config.base_model)
    return {"sequence_version": SEQUENCE_VERSION, "titles_by": titles_by}


def _language_content(config: SftRecipe) -> dict[str, object]:
    return {
        "name": f"text_llama_{config.adapter}",
        "adapter": config.adapter,
        **_decoder_content(config),
        "dataset": data_identity(config),
        "recipe": config.model_dump(mode="json", exclude={*PATHS, "tracking"}),
    }


def _decoder_content(config: DecoderRecipe) -> dict[str, object]:
    return {
        "base_model": base_model_identity(config.base_model),
        "num_layers": config.decoder.num_layers,
        "max_tokens": config.max_tokens,
    }
