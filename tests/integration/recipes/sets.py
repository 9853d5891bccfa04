"""A set of recipes run as a newcomer runs it: one command after another, beside a folder of exports."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

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


def judge(name: str, *overrides: str, absent: tuple[str, ...] = ()) -> None:
    """Run ingest, prepare and evaluate; only what decides nothing is overridden, such as `num_resamples`.

    `absent` are the keys of tables whose optional files are not there.
    """
    ingest(IngestConfig.load(CONFIGS / f"{name}_ingest.yaml", [f"{key}=null" for key in absent]))
    prepare(PrepareConfig.load(CONFIGS / f"{name}_prepare.yaml"))
    evaluate(EvaluateConfig.load(CONFIGS / f"{name}_evaluate.yaml", list(overrides)))
