"""What the arena reads, checked against each other before anything is fitted."""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from lifecycle.decisions.actions import ActionRule, read_actions
from lifecycle.events.shards import DATA_KIND, read_items
from lifecycle.features.attributes import AttributeCode, encode, fit_attributes, read_customers
from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.folders import fingerprint, read_manifest
from lifecycle.llama.member import base_model_identity, decoder_of, read_member
from lifecycle.names import LLAMA
from training.evaluate.recipe import EvaluateConfig
from training.prepare.dataset import BACKTEST, EXAMPLES_KIND, read_dataset
from training.prepare.splits import LEAVE_ONE_OUT

logger = logging.getLogger(__name__)
PLACES = {"output", "data", "examples", "members", "backtest_members", "actions"}


@dataclass(frozen=True)
class Inputs:
    """The recipe and the manifests of all it names; tables are read where they are used."""

    config: EvaluateConfig
    data: dict[str, object]
    examples: dict[str, object]
    dataset: dict[str, object]
    members: dict[str, dict[str, object]]
    base_model: Path | None  # absolute; that re-ranks
    items: pl.DataFrame
    actions: tuple[ActionRule, ...]
    attributes: tuple[AttributeCode, ...]  # of customers, declared usable for prediction
    identity: str

    @property
    def encoded_customers(self) -> pl.DataFrame:
        """customer_id and the attributes as numbers, of the table of customers."""
        customers = read_customers(self.config.data)
        return customers.select("customer_id").with_columns(*encode(self.attributes, customers))

    @property
    def categories(self) -> tuple[str, ...]:
        """The leading categories, whose shares are among the features."""
        names = self.dataset["categories"]
        assert isinstance(names, list)
        return tuple(names)

    @property
    def first_event_at(self) -> datetime:
        """Instant of the shop's first event."""
        return datetime.fromisoformat(str(self.data["first_event_at"]))

    @property
    def is_leave_one_out(self) -> bool:
        """Whether the examples ask for each customer's next item, and for no values."""
        return self.dataset["split"] == LEAVE_ONE_OUT

    @property
    def horizon_days(self) -> int:
        """Days after a cutoff whose spend is predicted."""
        return int(str(self.dataset["horizon_days"]))

    @property
    def test_cutoff(self) -> datetime:
        """The cutoff that all models are judged at."""
        return _midnight(self.dataset["test_cutoff"])

    @property
    def selection_cutoff(self) -> datetime:
        """The cutoff of the selection rows, which choose among the recommenders."""
        selection = self.dataset["selection"]
        assert isinstance(selection, dict)
        return _midnight(selection["cutoff"])


def read_inputs(config: EvaluateConfig) -> Inputs:
    """Raises ValueError for folders that are incomplete, damaged, of another version or that do not belong together."""
    data = read_manifest(config.data, DATA_KIND)
    examples = read_manifest(config.examples, EXAMPLES_KIND)
    dataset = read_dataset(config.examples)
    _check_dataset(config, dataset, data)
    members = {name: _checked_member("members", name, config) for name in config.members}
    earlier = {
        name: _checked_member("backtest_members", name, config) for name in config.backtest_members
    }
    base_model = _base_model(config, members)
    # Neither the places of folders nor the number of workers changes what comes out.
    recipe = config.model_dump(mode="json", exclude=PLACES | {"num_workers"})
    trained = [
        {name: member["identity"] for name, member in found.items()} for found in (members, earlier)
    ]
    actions = read_actions(config.actions)
    table = [rule.model_dump(mode="json") for rule in actions]
    identity = fingerprint([recipe, table, data["identity"], examples["identity"], *trained])
    items = read_items(config.data)
    attributes = _attributes(config, dataset)
    return Inputs(
        config, data, examples, dataset, members, base_model, items, actions, attributes, identity
    )


def _attributes(config: EvaluateConfig, dataset: dict[str, object]) -> tuple[AttributeCode, ...]:
    """Codes of the attributes of customers who had bought before the test cutoff."""
    if dataset["split"] == LEAVE_ONE_OUT:
        return ()
    known = pl.read_parquet(config.examples / "test.parquet", columns=["customer_id"])
    codes = fit_attributes(read_customers(config.data).join(known, on="customer_id", how="semi"))
    if codes:
        names = ", ".join(code.name for code in codes)
        logger.warning(
            "trees read %s as they are today, at every cutoff: attributes have no date", names
        )
    return codes


def _check_dataset(
    config: EvaluateConfig, dataset: dict[str, object], data: dict[str, object]
) -> None:
    if dataset["data_identity"] != data["identity"]:
        raise ValueError(
            f"examples {config.examples} were prepared from other data than {config.data}; prepare again"
        )
    if dataset["split"] == LEAVE_ONE_OUT:
        if config.members:
            raise ValueError(
                f"members predict values, but examples {config.examples} have split {LEAVE_ONE_OUT!r}"
            )
        return
    if dataset["features"] != list(FEATURES) or dataset["prompt_version"] != PROMPT_VERSION:
        raise ValueError(
            f"examples {config.examples} hold features or prompts of another version; prepare again"
        )


def _checked_member(key: str, name: str, config: EvaluateConfig) -> dict[str, object]:
    folder: Path = getattr(config, key)[name]
    examples = config.examples if key == "members" else config.examples / BACKTEST
    if key != "members" and not (config.examples / BACKTEST).exists():
        told = read_dataset(config.examples)["backtest"]
        raise ValueError(f"{key}.{name}: {config.examples} has no backtest: {told}")
    manifest = read_member(folder)
    if manifest["name"] != name:
        raise ValueError(f"{key}.{name}: {folder} holds a {manifest['name']}")
    if manifest["dataset"] != read_manifest(examples, EXAMPLES_KIND)["identity"]:
        raise ValueError(
            f"{key}.{name}: {folder} was trained on other examples; train it on {examples}"
        )
    return manifest


def _base_model(config: EvaluateConfig, members: dict[str, dict[str, object]]) -> Path | None:
    if config.base_model is not None:
        base_model_identity(config.base_model)
        return Path(config.base_model).absolute()
    return Path(decoder_of(members[LLAMA]).base_model) if LLAMA in members else None


def _midnight(day: object) -> datetime:
    return datetime.combine(date.fromisoformat(str(day)), datetime.min.time(), UTC)
