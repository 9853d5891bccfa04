"""Any training recipe: one of five classes, told apart by the keys `task` and `encoder`."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from lifecycle.config import Tree, checked_recipe, describe
from training.recipe import PATHS
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe

logger = logging.getLogger(__name__)
ValueRecipe = TextRecipe | SequenceRecipe
PlannedRecipe = ValueRecipe | NextItemRecipe | RerankRecipe
TrainConfig = PlannedRecipe | SftRecipe


class Kind(BaseModel):
    """The keys that say which recipe it is; the others are not looked at."""

    task: Literal["value", "next_item", "sft", "rerank"] = "value"
    encoder: Literal["text", "sequence"] = "text"

    @property
    def label(self) -> str:
        """What messages call such recipes."""
        return (
            f"task value with encoder {self.encoder}"
            if self.task == "value"
            else f"task {self.task}"
        )

    def recipe_class(self) -> type[TrainConfig]:
        """The class of such recipes; ValueError where there is none."""
        if self.task == "value":
            return TextRecipe if self.encoder == "text" else SequenceRecipe
        if self.task == "next_item":
            if self.encoder != "sequence":
                raise ValueError(
                    f"task next_item reads purchases: encoder must be sequence, not {self.encoder}"
                )
            return NextItemRecipe
        if self.encoder != "text":
            raise ValueError(
                f"task {self.task} teaches a language model: encoder must be text, not {self.encoder}"
            )
        return SftRecipe if self.task == "sft" else RerankRecipe


def load_recipe(path: Path, overrides: list[str] | None = None) -> TrainConfig:
    """Read a recipe's YAML file and apply `key.sub=value` overrides.

    Raises ValueError naming the dotted key, the value and the rule for anything that does not fit.
    """
    try:
        return checked_recipe(path, overrides or [], lambda fields: _parsed(path, fields))
    except ValidationError as error:
        raise ValueError(f"{path}: {describe(error)}") from None


def parse_recipe(fields: Mapping[str, object]) -> TrainConfig:
    """The recipe of keys and values as YAML has them; ValueError for anything that does not fit."""
    try:
        return _recipe_of(fields)
    except ValidationError as error:
        raise ValueError(describe(error)) from None


def _parsed(path: Path, fields: Mapping[str, object]) -> TrainConfig:
    """The recipe in a file, which ValueErrors name; ValidationError where pydantic refuses it."""
    try:
        return _recipe_of(fields)
    except ValidationError:
        raise
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _recipe_of(fields: Mapping[str, object]) -> TrainConfig:
    kind = Kind.model_validate(fields)
    recipe_class = kind.recipe_class()
    return recipe_class.model_validate(_own_fields(kind, recipe_class, fields))


def settings_of_other_encoder(recipe_class: type[TrainConfig]) -> dict[str, FieldInfo]:
    """What task value knows besides with its other encoder, files and folders left out."""
    if recipe_class in (SftRecipe, NextItemRecipe, RerankRecipe):
        return {}
    fields = TextRecipe.model_fields | SequenceRecipe.model_fields
    names = fields.keys() - recipe_class.model_fields.keys() - PATHS
    return {name: fields[name] for name in names}


def _own_fields(kind: Kind, recipe_class: type[TrainConfig], fields: Mapping[str, object]) -> Tree:
    """The fields without keys of other recipes.

    These may be there at their defaults, as in the config.yaml of older runs. Settings of the other
    encoder are passed over with a warning. ValueError for other keys that such a recipe does not
    use, and where one is missing that it needs.
    """
    known = {
        name: field
        for recipe in (RerankRecipe, NextItemRecipe, TextRecipe, SequenceRecipe, SftRecipe)
        for name, field in recipe.model_fields.items()
    }
    foreign = [name for name in fields if name in known and name not in recipe_class.model_fields]
    unused = [name for name in foreign if not _is_default(name, known[name], fields[name])]
    passed_over = settings_of_other_encoder(recipe_class)
    refused = [name for name in unused if name not in passed_over]
    if refused:
        raise ValueError(
            f"{kind.label} does not use {', '.join(refused)}; leave that out of the recipe"
        )
    if unused:
        logger.warning("%s does not use %s, which changes nothing", kind.label, ", ".join(unused))
    needed = [name for name, field in recipe_class.model_fields.items() if field.is_required()]
    missing = [name for name in needed if fields.get(name) is None]
    if missing:
        raise ValueError(f"{kind.label} needs {', '.join(missing)}")
    return {name: value for name, value in fields.items() if name not in foreign}


def _is_default(name: str, field: FieldInfo, value: object) -> bool:
    """Whether a key says what a recipe without it says; one that a recipe must have says nothing at null."""
    if field.is_required():
        return value is None
    try:
        given = TypeAdapter(field.rebuild_annotation()).validate_python(value)
    except ValidationError as error:
        raise ValueError(f"{name} is {value!r}: {error.errors()[0]['msg']}") from None
    return bool(given == field.default)
