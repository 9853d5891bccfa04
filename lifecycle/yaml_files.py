"""YAML as recipes are written in it: what is wrong is told in one line, with file, line and column."""

from collections.abc import Hashable
from datetime import date
from pathlib import Path

import yaml


def read_yaml(path: Path) -> dict[str, object]:
    """The mapping in a YAML file; ValueError if it is missing, not YAML, or not a mapping."""
    if path.is_dir():
        raise ValueError(f"config file {path} is a folder")
    if not path.exists():
        raise ValueError(f"config file {path} does not exist")
    try:
        tree = yaml.load(path.read_bytes(), _RecipeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"config file {path} is not valid YAML: {_in_one_line(error)}") from None
    except RecursionError:
        raise ValueError(f"config file {path}: its brackets are nested too deeply") from None
    if not isinstance(tree, dict):
        raise ValueError(f"config file {path} must hold a mapping of keys to values")
    return tree


def _in_one_line(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the drawing that spans several lines."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} at line {mark.line + 1}, column {mark.column + 1}"
    if isinstance(error, yaml.reader.ReaderError):
        return f"{error.reason} at byte {error.position}; save it as UTF-8"
    return " ".join(str(error).split())


class _RecipeLoader(yaml.SafeLoader):
    """Plain YAML with two rules more: no key is given twice, of which it silently takes the last, and dates exist."""

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

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> date:
        """The date or time; a YAML error where the calendar has none such, as 2024-02-30."""
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError as error:
            problem = f"{node.value!r} is no date: {error}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


_RecipeLoader.add_constructor("tag:yaml.org,2002:timestamp", _RecipeLoader.construct_yaml_timestamp)


def read_value(text: str) -> object:
    """The YAML value, or the text as it is where it is none, such as `%d/%m/%Y` or a tab."""
    if text.strip() in ("|", ">") or not text.strip():
        return text or None
    try:
        return yaml.load(text, _RecipeLoader)
    except yaml.YAMLError:
        return text
