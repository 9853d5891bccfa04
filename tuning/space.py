"""What a search varies: ranges of dotted recipe keys, checked against the training recipe before anything starts."""

import itertools
import math
from collections.abc import Iterator
from copy import deepcopy

from pydantic import model_validator

from lifecycle.config import Config, Tree
from training.tasks.recipes.union import TrainConfig, parse_recipe

Bounds = tuple[float, float]
WholeBounds = tuple[int, int]
MAX_COMBINATIONS = 1000
# What decides where a trial writes, or which rows its metric is measured on, must be the same in all trials.
FIXED_KEYS = (
    "output", "data", "examples", "conversations", "validation_conversations", "task", "adapter", "validation_rows",
    "seed", "tracking",
)  # fmt: skip


class Range(Config):
    """Values of one key: exactly one of `uniform`, `loguniform`, `int` (both ends included) and `choice`."""

    uniform: Bounds | None = None
    loguniform: Bounds | None = None
    int: WholeBounds | None = None
    choice: tuple[object, ...] | None = None

    @property
    def kind(self) -> str:
        """Name of the one kind that is given."""
        return next(name for name, value in self if value is not None)

    @property
    def ends(self) -> Bounds:
        """Lowest and highest value of a range of numbers."""
        ends = self.uniform or self.loguniform or self.int
        assert ends is not None, "a choice has no ends"
        return ends

    def probes(self) -> list[object]:
        """Values that stand for the range in a check: both ends and a point between them, or every choice."""
        if self.choice is not None:
            return list(self.choice)
        low, high = self.ends
        return [low, high] if self.int else [low, high, low + (high - low) / math.e]

    def holds(self, value: object) -> bool:
        """Whether a search over the range could come to `value`."""
        if self.choice is not None:
            return value in self.choice
        return isinstance(value, int | float) and self.ends[0] <= value <= self.ends[1]

    @model_validator(mode="after")
    def _one_kind(self) -> "Range":
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            raise ValueError(
                f"give one of uniform, loguniform, int and choice, not {given or 'none'}"
            )
        if self.choice is not None:
            if not self.choice:
                raise ValueError("choice is empty")
            return self
        low, high = self.ends
        if low >= high:
            raise ValueError(f"{given[0]} is [{low}, {high}]; the first must be below the second")
        if self.loguniform and low <= 0:
            raise ValueError(f"loguniform is [{low}, {high}]; both must be positive")
        return self


def get_dotted(tree: object, dotted: str) -> object:
    """The value of a dotted key of a recipe; None where a parent of it is null."""
    for key in dotted.split("."):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(key)
    return tree


def with_values(tree: Tree, values: Tree) -> Tree:
    """A copy of `tree` with the dotted keys of `values` set; a mapping is merged into the one it finds.

    Raises ValueError for a key below one that has no keys.
    """
    result = deepcopy(tree)
    for dotted, value in values.items():
        if isinstance(value, dict) and isinstance(get_dotted(result, dotted), dict):
            result = with_values(result, {f"{dotted}.{key}": inner for key, inner in value.items()})
            continue
        node = result
        *parents, leaf = dotted.split(".")
        for key in parents:
            child = node.setdefault(key, {})
            if not isinstance(child, dict):
                raise ValueError(f"{dotted!r}: {key} is {child!r} in the recipe, which has no keys")
            node = child
        node[leaf] = value
    return result


def recipe_with(base: TrainConfig, values: Tree) -> TrainConfig:
    """The recipe with dotted keys set; ValueError naming the keys that it does not know or does not accept."""
    tree = with_values(base.model_dump(mode="json"), values)
    try:
        return parse_recipe(tree)
    except ValueError as error:
        given = ", ".join(f"{key}={value!r}" for key, value in values.items())
        raise ValueError(f"{error}\n  (with {given})") from None


def check_space(base: TrainConfig, space: dict[str, Range], overrides: Tree) -> None:
    """ValueError for a key, a type or a combination of values that the training recipe does not accept."""
    for where, keys in (("space", space), ("overrides", overrides)):
        for dotted in keys:
            if dotted.split(".")[0] in (FIXED_KEYS if where == "space" else ("output",)):
                raise ValueError(
                    f"{where}.{dotted}: all trials of a search must share {dotted.split('.')[0]!r}"
                )
    for dotted in space:
        others = [*overrides, *(key for key in space if key != dotted)]
        clash = [key for key in others if f"{key}.".startswith(f"{dotted}.")]
        if clash:
            raise ValueError(f"space.{dotted} is also set by {clash[0]!r}")
    recipe_with(base, overrides)
    for dotted, values in space.items():
        for value in values.probes():
            recipe_with(base, overrides | {dotted: value})
    for combination in itertools.islice(combinations(space), MAX_COMBINATIONS):
        recipe_with(base, overrides | combination)


def combinations(space: dict[str, Range]) -> Iterator[Tree]:
    """Every combination of the values that stand for the ranges."""
    for values in itertools.product(*(values.probes() for values in space.values())):
        yield dict(zip(space, values, strict=True))


def decoded(space: dict[str, Range], sample: Tree) -> Tree:
    """Values of the recipe for a point that the searcher proposed, in which a choice is a position."""
    values: Tree = {}
    for dotted, value in sample.items():
        choice = space[dotted].choice
        values[dotted] = value if choice is None else choice[int(str(value))]
    return values


def point_of(space: dict[str, Range], recipe: TrainConfig) -> Tree | None:
    """The recipe's own values as a point for the searcher; None where the space does not hold them."""
    tree = recipe.model_dump(mode="json")
    point: Tree = {}
    for dotted, values in space.items():
        value = get_dotted(tree, dotted)
        if not values.holds(value):
            return None
        point[dotted] = value if values.choice is None else values.choice.index(value)
    return point
