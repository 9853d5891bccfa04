"""What the arena reads, checked against each other before anything is fitted."""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from lifecycle.config import Tree
from lifecycle.decisions.actions import ActionRule, read_actions
from lifecycle.differences import content
from lifecycle.events.shards import DataManifest, read_data_manifest, read_items
from lifecycle.features.attributes import AttributeCode, encode, fit_attributes, read_customers
from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.folders import fingerprint
from lifecycle.llama.member import (
    NEXT_ITEM,
    RERANK,
    MemberManifest,
    base_model_identity,
    decoder_of,
    read_member,
)
from lifecycle.names import LLAMA, RERANKER, SEQUENCE_LLAMA
from training.evaluate.recipe import EvaluateConfig
from training.prepare.dataset import (
    BACKTEST,
    Dataset,
    LeaveOneOutDataset,
    NoBacktest,
    examples_identity,
    read_any_dataset,
    read_dataset,
    require_prepared_from,
)

logger = logging.getLogger(__name__)
PLACES = {
    "output",
    "data",
    "examples",
    "members",
    "backtest_members",
    "ranking_members",
    "actions",
}
TASKS = {SEQUENCE_LLAMA: NEXT_ITEM, RERANKER: RERANK}  # that members which rank were trained for


@dataclass(frozen=True)
class Inputs:
    """The recipe and the manifests of all it names; tables are read where they are used."""

    config: EvaluateConfig
    data: DataManifest
    examples: str  # identity
    dataset: Dataset | LeaveOneOutDataset
    members: dict[str, MemberManifest]
    ranking_members: dict[str, MemberManifest]
    base_model: Path | None  # absolute; that re-ranks
    items: pl.DataFrame
    actions: tuple[ActionRule, ...]
    attributes: tuple[AttributeCode, ...]  # of customers, declared usable for prediction
    identity: str
    made_from: Tree  # what the identity stands for, key by key

    @property
    def encoded_customers(self) -> pl.DataFrame:
        """customer_id and the attributes as numbers, of the table of customers."""
        customers = read_customers(self.config.data)
        return customers.select("customer_id").with_columns(*encode(self.attributes, customers))

    @property
    def categories(self) -> tuple[str, ...]:
        """The leading categories, whose shares are among the features."""
        return self.time_split.categories

    @property
    def money_unit(self) -> float:
        """In which encoders see money."""
        return self.time_split.money_unit

    @property
    def first_event_at(self) -> datetime:
        """Instant of the shop's first event."""
        return self.data.first_event_at

    @property
    def is_leave_one_out(self) -> bool:
        """Whether the examples ask for each customer's next item, and for no values."""
        return isinstance(self.dataset, LeaveOneOutDataset)

    @property
    def time_split(self) -> Dataset:
        """What dataset.json says of examples of split time."""
        assert isinstance(self.dataset, Dataset)
        return self.dataset

    @property
    def horizon_days(self) -> int:
        """Days after a cutoff whose spend is predicted."""
        return self.time_split.horizon_days

    @property
    def test_cutoff(self) -> datetime:
        """The cutoff that all models are judged at."""
        return _midnight(self.time_split.test_cutoff)

    @property
    def selection_cutoff(self) -> datetime:
        """The cutoff of the selection rows, which choose among the recommenders."""
        return _midnight(self.time_split.selection.cutoff)


def read_inputs(config: EvaluateConfig) -> Inputs:
    """Raises ValueError for folders that are incomplete, damaged, of another version or that do not belong together."""
    data = read_data_manifest(config.data)
    examples = examples_identity(config.examples)
    dataset = read_any_dataset(config.examples)
    _check_dataset(config, dataset)
    members = {name: _checked_member("members", name, config) for name in config.members}
    earlier = {
        name: _checked_member("backtest_members", name, config) for name in config.backtest_members
    }
    ranking = {
        name: _checked_member("ranking_members", name, config) for name in config.ranking_members
    }
    base_model = _base_model(config, members | ranking)
    # Neither the places of folders nor the number of workers changes what comes out.
    recipe = config.model_dump(mode="json", exclude=PLACES | {"num_workers"})
    trained = [_identities(found) for found in (members, earlier, ranking)]
    actions = read_actions(config.actions)
    table = [rule.model_dump(mode="json") for rule in actions]
    identity = fingerprint([recipe, table, data.identity, examples, *trained])
    made_from = (
        recipe
        | content("data", data.identity)
        | content("examples", examples)
        | content("actions", fingerprint(table))
        | {
            "content of members": trained[0],
            "content of backtest_members": trained[1],
            "content of ranking_members": trained[2],
        }
    )
    return Inputs(
        config,
        data,
        examples,
        dataset,
        members,
        ranking,
        base_model,
        read_items(config.data),
        actions,
        _attributes(config, dataset),
        identity,
        made_from,
    )


def _identities(members: dict[str, MemberManifest]) -> dict[str, str]:
    return {name: member.identity for name, member in members.items()}


def _attributes(
    config: EvaluateConfig, dataset: Dataset | LeaveOneOutDataset
) -> tuple[AttributeCode, ...]:
    """Codes of the attributes of customers who had bought before the test cutoff."""
    if isinstance(dataset, LeaveOneOutDataset):
        return ()
    known = pl.read_parquet(config.examples / "test.parquet", columns=["customer_id"])
    codes = fit_attributes(read_customers(config.data).join(known, on="customer_id", how="semi"))
    if codes:
        names = ", ".join(code.name for code in codes)
        logger.warning(
            "trees read %s as they are today, at every cutoff: attributes have no date", names
        )
    return codes


def _check_dataset(config: EvaluateConfig, dataset: Dataset | LeaveOneOutDataset) -> None:
    require_prepared_from(config.examples, dataset, config.data)
    if isinstance(dataset, LeaveOneOutDataset):
        if config.members:
            raise ValueError(
                f"members predict values, but examples {config.examples} have split {dataset.split!r}"
            )
        return
    if dataset.features != FEATURES or dataset.prompt_version != PROMPT_VERSION:
        raise ValueError(
            f"examples {config.examples} hold features or prompts of another version; prepare again"
        )


def _checked_member(key: str, name: str, config: EvaluateConfig) -> MemberManifest:
    folder: Path = getattr(config, key)[name]
    examples = config.examples / BACKTEST if key == "backtest_members" else config.examples
    if key == "backtest_members" and not (config.examples / BACKTEST).exists():
        found = read_dataset(config.examples).backtest
        why = found.why if isinstance(found, NoBacktest) else f"{BACKTEST} is missing"
        raise ValueError(f"{key}.{name}: {config.examples} has no backtest: {why}")
    if not folder.exists():
        raise ValueError(
            f"{key}.{name}: {folder} does not exist; train that member first, or leave encoders out: {key}={{}}"
        )
    manifest = read_member(folder, TASKS[name] if key == "ranking_members" else "value")
    if manifest.name != name:
        raise ValueError(f"{key}.{name}: {folder} holds a {manifest.name}")
    if manifest.dataset != examples_identity(examples):
        raise ValueError(
            f"{key}.{name}: {folder} was trained on other examples; train it on {examples}"
        )
    return manifest


def _base_model(config: EvaluateConfig, members: dict[str, MemberManifest]) -> Path | None:
    if config.base_model is not None:
        base_model_identity(config.base_model)
        from lifecycle.llama.base_model.loading import check_loading

        check_loading(config.base_model, with_head=True)
        return Path(config.base_model).absolute()
    readers = [members[name] for name in (RERANKER, LLAMA) if name in members]
    return Path(decoder_of(readers[0]).base_model) if readers else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
