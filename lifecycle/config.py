"""One frozen configuration object per job: YAML file, then `key.sub=value` from the command line."""

import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from lifecycle.paths import resolve_path

C = TypeVar("C", bound="Config")
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
        tree = read_recipe(path, overrides or [])
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise ValueError(f"{path}: {describe(error)}") from None


def read_recipe(path: Path, overrides: list[str]) -> Tree:
    """The mapping in a YAML file with `key.sub=value` overrides applied; nothing in it is checked yet."""
    tree = read_yaml(path)
    for override in overrides:
        apply_override(tree, override)
    return tree


def read_yaml(path: Path) -> Tree:
    """The mapping in a YAML file; ValueError if it is missing, not YAML, or not a mapping."""
    if not path.is_file():
        raise ValueError(f"config file {path} does not exist")
    try:
        tree = yaml.load(path.read_text(), _UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"config file {path} is not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"config file {path} must hold a mapping of keys to values")
    return tree


class _UniqueKeyLoader(yaml.SafeLoader):
    """Of a key that is given twice, plain YAML silently takes the last."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1 and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} is given twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


def apply_override(tree: Tree, override: str) -> None:
    """Set one dotted key in place, e.g. `optimizer.learning_rate=1e-3` or `sources.0.path=x.csv`."""
    dotted, equals, text = override.partition("=")
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
    value = _read_value(text)
    if isinstance(node, list):
        node[list_index(node, leaf, dotted)] = value
    elif isinstance(node, dict):
        node[leaf] = value
    else:
        raise ValueError(f"override {dotted!r} reaches into {node!r}, which has no keys")


def _read_value(text: str) -> object:
    """The YAML value, or the text as it is where it is none, such as `%d/%m/%Y` or a tab."""
    if text.strip() in ("|", ">") or not text.strip():
        return text or None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


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
            lines.append(f"{dotted} is {problem['input']!r}: {problem['msg']}")
        else:
            lines.append(problem["msg"])
    return "\n  ".join(lines)


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
    except ValueError as error:
        print(f"{job}: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _child(node: object, key: str, dotted: str) -> object:
    if not isinstance(node, dict):
        raise ValueError(f"override {dotted!r} reaches into {node!r}, which has no keys")
    return node.setdefault(key, {})
