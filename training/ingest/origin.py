"""What an ingest folder is made from, key by key: the recipe, and the state of each table's files."""

from datetime import UTC, datetime

from lifecycle.config import Tree
from lifecycle.events.log_position import LogPosition
from training.ingest.files.found import source_files
from training.ingest.recipe import IngestConfig
from training.ingest.sources import Table

# Where a folder goes, and who is left out of it: erased customers go out of what is complete, too.
NO_ORIGIN = {"output", "tombstones", "key"}


def ingest_made_from(config: IngestConfig, position: LogPosition | None) -> Tree:
    """What another recipe, changed files or later events of the log are told by."""
    recipe = config.model_dump(mode="json", exclude=NO_ORIGIN)
    files = {f"files of {name}": _state(table) for name, table in _tables(config).items()}
    log = {} if position is None else {"events of log": position.sequence}
    return recipe | files | log


def _tables(config: IngestConfig) -> dict[str, Table]:
    """All tables that a recipe reads, by their dotted keys."""
    tables: dict[str, Table | None] = {}
    for number, source in enumerate(config.sources):
        tables[f"sources.{number}"] = source
        tables[f"sources.{number}.lookup"] = source.lookup
    tables |= {
        "items": config.items,
        "customers": config.customers,
        "rates_table": config.rates_table,
    }
    return {name: table for name, table in tables.items() if table is not None}


def _state(table: Table) -> str:
    states = [file.stat() for file in source_files(table)]
    changed_at = datetime.fromtimestamp(max(state.st_mtime for state in states), UTC)
    num_bytes = sum(state.st_size for state in states)
    return f"{len(states)} of {num_bytes} bytes, last changed {changed_at:%Y-%m-%d %H:%M:%S.%f}"
