"""The examples folder: which parts it has, and what dataset.json says of it."""

import json
from pathlib import Path

from lifecycle.folders import read_manifest

EXAMPLES_KIND = "examples"
BACKTEST = "backtest"
LATEST = "latest"


def read_dataset(examples: Path) -> dict[str, object]:
    """dataset.json of a complete examples folder."""
    read_manifest(examples, EXAMPLES_KIND)
    facts: dict[str, object] = json.loads((examples / "dataset.json").read_text())
    return facts
