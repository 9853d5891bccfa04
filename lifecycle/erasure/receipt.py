"""The receipt of an erasure: what was deleted where, what is pending, and what has learned from the customer."""

from pydantic import AwareDatetime

from lifecycle.config import Tree
from lifecycle.folders import Stored


class ErasureReceipt(Stored):
    """What became of a customer, who is named by a keyed hash alone."""

    customer: str  # hex HMAC-SHA256 of the id
    key: str  # id of the key that made it
    erased_at: AwareDatetime
    lifted_at: AwareDatetime | None = None
    deleted: dict[str, int] = {}  # rows, by place
    pending: tuple[str, ...] = ()  # places that may still hold the customer
    trained: tuple[str, ...] = ()  # artifacts and members that learned from the customer's data
    exports: tuple[str, ...] = ()  # raw sources, which are their owner's to clean


def exports_named(made_from: Tree) -> tuple[str, ...]:
    """The raw files that the recipe of an ingest folder names, by what its manifest says it was made from."""
    sources = made_from.get("sources")
    tables = [*(sources if isinstance(sources, list) else []), made_from.get("customers")]
    named = [str(table["path"]) for table in tables if isinstance(table, dict) and "path" in table]
    return tuple(dict.fromkeys(named))
