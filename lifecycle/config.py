"""One frozen configuration object per job: YAML file, then `key.sub=value` from the command line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from lifecycle.paths import resolve_path
from lifecycle.yaml_files import read_value, read_yaml

C = TypeVar("C", bound="Config")
R = TypeVar("R")  # what is made of a recipe
# Reads a YAML file and applies overrides, such as the `load` of a Config.
Load = Callable[[Path, list[str]], C]
Tree = dict[str, object]  # a recipe, or a part of one, as YAML has it
USAGE = "usage: python -m {job} --config FILE [key.sub=value ...]"


class Config(BaseModel):
    """Base of every recipe. Unknown keys are errors, values cannot be changed after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def save(self, path: Path) -> None:
        """Write the merged configuration as YAML that loads again to an equal object."""
        path.write_text(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))

    @classmethod
    def load(cls, path: Path, overrides: list[str] | None = None) -> Self:
        """Read a YAML file and apply `key.sub=value` overrides.

        Raises ValueError naming the dotted key, the value and the rule for anything that does not
        fit.
        """
        try:
            return checked_recipe(path, overrides or [], cls.model_validate)
        except ValidationError as error:
            raise ValueError(f"{path}: {describe(error)}") from None


def read_recipe(path: Path, overrides: list[str]) -> Tree:
    """The mapping in a YAML file with `key.sub=value` overrides applied; nothing in it is checked yet."""
    tree = read_yaml(path)
    for override in overrides:
        apply_override(tree, override)
    return tree


def checked_recipe(path: Path, overrides: list[str], check: Callable[[Tree], R]) -> R:
    """What `check` makes of a recipe. Where it refuses the null of `key=null`, the key or the entry is removed instead.

    So `members=null` gives the default, `sources.1=null` leaves that source out, and `lora=null`
    stays null. Raises ValueError where the recipe needs what was removed, and ValidationError for
    anything else.
    """
    tree = read_recipe(path, overrides)
    nulls = {name for name, _, text in map(_parted, overrides) if read_value(text) is None}
    try:
        return check(tree)
    except ValidationError as error:
        refused = [name for name in nulls if _is_refused_null(error, name)]
        if not refused:
            raise
    before = read_yaml(path)
    for dotted in sorted(refused, key=_later_first, reverse=True):
        _remove(tree, dotted, before)
    try:
        return check(tree)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            place = ".".join(map(str, problem["loc"]))
            removed = [name for name in refused if f"{name}.".startswith(f"{place}.")]
            if removed and problem["type"] in ("missing", "too_short"):
                line = f"override '{removed[0]}=null' removes what the recipe needs"
                raise ValueError(f"{line}: {place}") from None
        raise


def _is_refused_null(error: ValidationError, dotted: str) -> bool:
    """Whether a key that is known must not be null."""
    keys = dotted.split(".")
    return any(
        problem["input"] is None
        and problem["type"] != "extra_forbidden"
        and [str(key) for key in problem["loc"][: len(keys)]] == keys
        for problem in error.errors(include_url=False)
    )


def _later_first(dotted: str) -> list[str]:
    """In this order, reversed, entries of a list are removed from its end, so that the others keep their positions."""
    return [key.zfill(9) if key.isdecimal() else key for key in dotted.split(".")]


def _remove(tree: Tree, dotted: str, before: Tree) -> None:
    """Remove a key or an entry; ValueError for one below others that was not there `before` the overrides."""
    *parents, leaf = dotted.split(".")
    node: object = tree
    was: object = before
    for key in parents:
        node = _entry(node, key)
        was = _entry(was, key)
    if parents and isinstance(was, dict) and leaf not in was:
        raise ValueError(f"override '{dotted}=null': there is no {leaf!r} in {list(was)} to remove")
    if isinstance(node, list):
        del node[int(leaf)]
    elif isinstance(node, dict):
        del node[leaf]


def _entry(node: object, key: str) -> object:
    """The value of a key or the entry at a position; None where there is none."""
    if isinstance(node, list):
        return node[int(key)] if key.isdecimal() and int(key) < len(node) else None
    return node.get(key) if isinstance(node, dict) else None


def apply_override(tree: Tree, override: str) -> None:
    """Set one dotted key in place, e.g. `optimizer.learning_rate=1e-3` or `sources.0.path=x.csv`."""
    dotted, equals, text = _parted(override)
    if not equals or not dotted:
        raise ValueError(f"override {override!r} must have the form key.sub=value")
    node: object = tree
    *parents, leaf = dotted.split(".")
    for key in parents:
        node = (
            node[list_index(node, key, dotted)]
            if isinstance(node, list)
            else _child(node, key, dotted)
        )
    value = read_value(text)
    if isinstance(node, list):
        node[list_index(node, leaf, dotted)] = value
    elif isinstance(node, dict):
        node[leaf] = value
    else:
        raise ValueError(f"override {dotted!r} reaches into {node!r}, which has no keys")


def _parted(override: str) -> tuple[str, str, str]:
    return override.partition("=")


def list_index(items: list[object], key: str, dotted: str) -> int:
    """The position that `key` names in a list of the configuration."""
    if not key.isdecimal() or int(key) >= len(items):
        raise ValueError(
            f"override {dotted!r}: {key!r} is not a position in a list of {len(items)}"
        )
    return int(key)


def describe(error: ValidationError) -> str:
    """All problems of a validation error, one per line, each with its dotted key and the offending value."""
    lines = []
    problems = error.errors(include_url=False)
    for problem in problems:
        if problem["type"] == "too_short" and any(
            other["loc"][: len(problem["loc"])] == problem["loc"] != other["loc"]
            for other in problems
        ):
            continue  # a list whose entries are wrong is not short of entries
        dotted = ".".join(str(part) for part in problem["loc"]) or "(whole config)"
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {dotted!r}")
        elif problem["type"] == "missing":
            lines.append(f"missing key {dotted!r}")
        elif problem["loc"]:
            lines.append(f"{dotted} is {problem['input']!r}: {_message(problem['msg'])}")
        else:
            lines.append(_message(problem["msg"]))
    return "\n  ".join(lines)


def _message(told: str) -> str:
    """Without the name of the exception that pydantic puts in front."""
    return told.removeprefix("Value error, ")


def from_command_line(load: Load[C], job: str, arguments: list[str] | None = None) -> C:
    """The configuration of `python -m <job> --config FILE [key.sub=value ...]`, which `load` reads.

    FILE may lie in an installed package: `package:training/configs/invoices_ingest.yaml`. Exits
    with status 2 and a message on standard error where it is not valid.
    """
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) < 2 or words[0] != "--config":
        print(USAGE.format(job=job), file=sys.stderr)
        raise SystemExit(2)
    try:
        return load(resolve_path(words[1]), words[2:])
    except (ValueError, OSError) as error:
        print(f"{job}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _child(node: object, key: str, dotted: str) -> object:
    if not isinstance(node, dict):
        raise ValueError(f"override {dotted!r} reaches into {node!r}, which has no keys")
    return node.setdefault(key, {})
