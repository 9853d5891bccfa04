"""The next best action: that of the first line of a table that fits a customer. Users edit the table.

A CSV file with the columns stage, segment, risk (at_risk, or safe), driver and action, of which all
but action may be left out or empty, which fits everybody; `top|high` fits both. Drivers are what
moves a prediction most (`spend.contributions`), as in `rhythm_down`; they are computed only for
customers whom such a line fits otherwise.
"""

import csv
from collections.abc import Callable, Collection
from functools import reduce
from pathlib import Path

import numpy as np

from lifecycle.config import Config
from lifecycle.decisions.segments import SEGMENTS
from lifecycle.decisions.stages import STAGES
from lifecycle.features.drivers import DRIVER_NAMES

CONDITIONS = {
    "stage": STAGES,
    "segment": SEGMENTS,
    "risk": ("at_risk", "safe"),
    "driver": DRIVER_NAMES,
}
ANYBODY: tuple[str, ...] = ()


class ActionRule(Config):
    """One line: what each condition may be (empty: anything), and the action's code."""

    stage: tuple[str, ...] = ANYBODY
    segment: tuple[str, ...] = ANYBODY
    risk: tuple[str, ...] = ANYBODY
    driver: tuple[str, ...] = ANYBODY
    action: str

    def fits(self, known: "Masks") -> np.ndarray:
        """Whom the line fits, booleans (n,), by the conditions that are known."""
        fits = np.array(True)
        for name, masks in known.items():
            if wanted := getattr(self, name):
                fits = fits & reduce(np.logical_or, [masks[value] for value in wanted])
        return fits


Masks = dict[str, dict[str, np.ndarray]]  # by condition and value, who has it, booleans (n,)


def read_actions(path: Path) -> tuple[ActionRule, ...]:
    """The rules of a table; ValueError naming file, line, column and value for what it cannot hold."""
    if not path.is_file():
        raise ValueError(f"table of actions {path} does not exist")
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        known = (*CONDITIONS, "action")
        if unknown := [name for name in lines.fieldnames or () if name not in known]:
            raise ValueError(f"{path} has column {unknown[0]!r}; columns are {', '.join(known)}")
        rules = tuple(_rule(f"{path} line {lines.line_num}", line) for line in lines)
    if not rules or any(getattr(rules[-1], name) for name in CONDITIONS):
        raise ValueError(f"{path}: the last line must fit everybody, and so have an action alone")
    return rules


def _rule(place: str, line: dict[str, str | None]) -> ActionRule:
    if None in line:
        raise ValueError(f"{place} has more cells than the header")
    cells = {name: (value or "").strip() for name, value in line.items() if name is not None}
    if not cells.get("action"):
        raise ValueError(f"{place} has no action")
    found = {name: _alternatives(cells.get(name, "")) for name in CONDITIONS}
    for name, values in found.items():
        for value in values:
            if value not in CONDITIONS[name]:
                raise ValueError(
                    f"{place}: {name} is {value!r}; it must be one of {', '.join(CONDITIONS[name])}"
                )
    return ActionRule(**found, action=cells["action"])


def _alternatives(cell: str) -> tuple[str, ...]:
    """The values of a cell, which stand between bars."""
    return tuple(value.strip() for value in cell.split("|") if value.strip())


def next_best_action(
    rules: tuple[ActionRule, ...],
    *,
    stage: np.ndarray,
    segment: np.ndarray,
    at_risk: np.ndarray,
    drivers_of: Callable[[np.ndarray], np.ndarray],
    possible: Collection[str] = DRIVER_NAMES,
) -> np.ndarray:
    """The action of each customer, strings of shape (n,); `drivers_of` tells the drivers of the rows it is given.

    That takes long, and is not asked for where no driver that a line wants is among the `possible`.
    """
    risk = np.where(at_risk, "at_risk", "safe")
    known = _masks(stage=stage, segment=segment, risk=risk)
    fitting = np.empty((len(rules), len(stage)), dtype=bool)
    for fits, rule in zip(fitting, rules, strict=True):
        fits[:] = rule.fits(known)
    with_driver = np.array([bool(rule.driver) for rule in rules])
    to_ask = np.array([not set(rule.driver).isdisjoint(possible) for rule in rules])
    asked = np.flatnonzero(fitting[to_ask].any(axis=0))
    drivers = np.full(len(stage), "", dtype=object)
    if len(asked):
        drivers[asked] = drivers_of(asked)
    moved = _masks(driver=drivers)
    for row in np.flatnonzero(with_driver):
        fitting[row] &= rules[row].fits(moved)
    first: np.ndarray = np.argmax(fitting, axis=0)  # the last rule fits everybody
    return np.array([rule.action for rule in rules])[first]  # type: ignore[no-any-return]


def _masks(**columns: np.ndarray) -> Masks:
    """By the names of conditions, of texts (n,): for few customers each search of a list in them takes long."""
    return {
        name: {value: column == value for value in CONDITIONS[name]}
        for name, column in columns.items()
    }
