"""A public shop made ready for a benchmark, with the recipes of training/configs."""

from pathlib import Path

from training.ingest.files.found import source_files
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

CONFIGS = Path("training/configs")


def prepare_shop(shop: str, folder: Path) -> tuple[dict[str, Path], list[Path]]:
    """Ingest and prepare below `folder`; returns the places `data` and `examples`, and the source files."""
    places = {"data": folder / "data", "examples": folder / "examples"}
    recipe = IngestConfig.load(CONFIGS / f"{shop}_ingest.yaml")
    ingest(recipe.model_copy(update={"output": places["data"], "quality_html": False}))
    examples = PrepareConfig.load(CONFIGS / f"{shop}_prepare.yaml")
    prepare(examples.model_copy(update={"data": places["data"], "output": places["examples"]}))
    files: list[Path] = []
    for source in recipe.sources:
        files += source_files(source)
    return places, files
