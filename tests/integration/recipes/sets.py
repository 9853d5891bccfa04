"""A set of recipes run as a newcomer runs it: one command after another, beside a folder of exports."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.builders import REPOSITORY
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

CONFIGS = REPOSITORY / "training" / "configs"


@contextlib.contextmanager
def beside(folder: Path, name: str) -> Iterator[Path]:
    """Work in `folder`, where the recipes called `name` find their exports; gives the folder of these."""
    exports = folder / "runs" / name
    exports.mkdir(parents=True)
    with contextlib.chdir(folder):
        yield exports


def judge(name: str, *overrides: str, ingest_recipe: Path | None = None) -> None:
    """Run ingest, prepare and evaluate; only what decides nothing is overridden, such as `num_resamples`."""
    ingest(IngestConfig.load(ingest_recipe or CONFIGS / f"{name}_ingest.yaml"))
    prepare(PrepareConfig.load(CONFIGS / f"{name}_prepare.yaml"))
    evaluate(EvaluateConfig.load(CONFIGS / f"{name}_evaluate.yaml", list(overrides)))


def without_optional_files(name: str, path: Path) -> Path:
    """Write the ingest recipe with the blocks of its optional files deleted."""
    tree = yaml.safe_load((CONFIGS / f"{name}_ingest.yaml").read_text())
    del tree["sources"][1:]
    tree.pop("items", None)
    path.write_text(yaml.safe_dump(tree))
    return path
