"""The artifact's folder: written under a temporary name and renamed when complete; verified when it is read."""

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from lightgbm import Booster

from lifecycle.artifact.contents import (
    ARTIFACT_KIND,
    RETRIEVER_FOLDER,
    Artifact,
    Settings,
    read_artifact_manifest,
)
from lifecycle.btyd.model import BTYD_FILE, load_btyd, save_btyd
from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.folders import new_folder, verify, write_json, write_manifest
from lifecycle.llama.member import read_member
from lifecycle.names import STACK, STACK_WITHOUT_LLAMA, ZILN
from lifecycle.recommend.retrieval import load_retriever, save_retriever
from lifecycle.spend.hurdle import BOUGHT_FILE, load_hurdle, save_hurdle
from lifecycle.spend.stack import STACK_FILE, load_stack, save_stack
from lifecycle.spend.trees import LIGHTGBM_FILE

if TYPE_CHECKING:
    from lifecycle.spend.dense_ziln import DenseZiln


logger = logging.getLogger(__name__)


def load_artifact(folder: Path) -> Artifact:
    """Verify every file and read the models. ValueError names the folder or file that is incomplete or damaged."""
    verify(folder, ARTIFACT_KIND)
    manifest = read_artifact_manifest(folder)
    if manifest.prompt_version != PROMPT_VERSION:
        raise ValueError(
            f"artifact {folder} has prompt version {manifest.prompt_version!r}, not {PROMPT_VERSION!r}"
        )
    if manifest.features != FEATURES:
        raise ValueError(
            f"artifact {folder} was made for other features than this version computes; evaluate again"
        )
    settings = Settings.load(folder)
    btyd_models = load_btyd(folder) if (folder / BTYD_FILE).exists() else {}
    stack = load_stack(folder, btyd_models) if (folder / STACK_FILE).exists() else None
    reads_ziln = settings.champion == ZILN or (
        settings.champion in (STACK, STACK_WITHOUT_LLAMA)
        and stack is not None
        and ZILN in stack.others
    )
    artifact = Artifact(
        folder=folder,
        manifest=manifest,
        settings=settings,
        items=pl.read_parquet(folder / "items.parquet"),
        retriever=load_retriever(folder / RETRIEVER_FOLDER)
        if (folder / RETRIEVER_FOLDER).exists()
        else None,
        btyd_models=btyd_models,
        lightgbm=Booster(model_file=folder / LIGHTGBM_FILE)
        if (folder / LIGHTGBM_FILE).exists()
        else None,
        hurdle=load_hurdle(folder) if (folder / BOUGHT_FILE).exists() else None,
        ziln=_load_ziln(folder) if reads_ziln else None,
        stack=stack,
    )
    for member in artifact.members.values():
        read_member(member)
    return artifact


def _load_ziln(folder: Path) -> "DenseZiln":
    from lifecycle.spend.dense_ziln import load_dense_ziln

    return load_dense_ziln(folder)


def write_artifact(
    artifact: Artifact, members: dict[str, Path], metrics: dict[str, object]
) -> None:
    """Write an artifact and load it once, so that one that cannot be served is never left behind silently."""
    told = {"metrics": metrics["models"], "refitted_at": metrics["refitted_at"]}
    manifest = artifact.manifest.model_copy(update=told)
    kept = {
        name: found for name, found in metrics.items() if name != "customers"
    }  # which shows some of them
    with new_folder(artifact.folder) as folder:
        artifact.settings.save(folder)
        artifact.items.write_parquet(folder / "items.parquet")
        write_json(folder / "metrics.json", kept)
        if artifact.retriever is not None:
            (folder / RETRIEVER_FOLDER).mkdir()
            save_retriever(folder / RETRIEVER_FOLDER, artifact.retriever)
        if artifact.btyd_models:
            save_btyd(artifact.btyd_models, folder)
        if artifact.hurdle is not None:
            save_hurdle(artifact.hurdle, folder)
        if artifact.ziln is not None:
            from lifecycle.spend.dense_ziln import save_dense_ziln

            save_dense_ziln(artifact.ziln, folder)
        if artifact.stack is not None:
            save_stack(artifact.stack, folder)
        if artifact.lightgbm is not None:
            artifact.lightgbm.save_model(folder / LIGHTGBM_FILE)
        for name, member in members.items():
            shutil.copytree(member, folder / "members" / name)
        write_manifest(folder, ARTIFACT_KIND, manifest)
    load_artifact(artifact.folder)
    logger.info("%s written", artifact.folder)
