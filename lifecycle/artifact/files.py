"""The artifact's folder: written under a temporary name and renamed when complete; verified when it is read."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
from pydantic import JsonValue

from lifecycle.artifact.contents import (
    ARTIFACT_KIND,
    RANKERS_FOLDER,
    Artifact,
    Settings,
    read_artifact_manifest,
)
from lifecycle.artifact.encoder import LateEncoder
from lifecycle.features.numbers import FEATURES
from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.folders import new_folder, verify, write_json, write_manifest
from lifecycle.llama.member import NEXT_ITEM, RERANK, base_model_identity, read_member
from lifecycle.names import SEQUENCE_LLAMA
from lifecycle.recommend.rankers import load_rankers, save_rankers
from lifecycle.spend.models import SpendModels

logger = logging.getLogger(__name__)
SHOW_CUSTOMERS = ("customers", "worth")  # keys of metrics.json that name some


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
    router = settings.router
    artifact = Artifact(
        folder=folder,
        manifest=manifest,
        settings=settings,
        items=pl.read_parquet(folder / "items.parquet"),
        rankers=None if router is None else load_rankers(folder / RANKERS_FOLDER, router.names),
        models=SpendModels.load(folder, settings.horizon_days, settings.champion),
    )
    for member in artifact.members.values():
        read_member(member)
    _check_reranker(artifact)
    return _with_encoder(artifact)


def _with_encoder(artifact: Artifact) -> Artifact:
    """With the LLaMA over purchases, where it ranks for anybody."""
    if artifact.encoder is None or artifact.rankers is None:
        return artifact
    read_member(artifact.encoder, NEXT_ITEM)
    encoders = {SEQUENCE_LLAMA: LateEncoder(artifact.encoder, artifact.items)}
    return replace(artifact, rankers=replace(artifact.rankers, encoders=encoders))


def _check_reranker(artifact: Artifact) -> None:
    """ValueError where what reads titles is damaged, or its base model is another than the one that was judged."""
    reranking = artifact.settings.reranking
    if reranking is None:
        return
    if artifact.reranker is not None:
        read_member(artifact.reranker, RERANK)
    base = reranking.base_model
    if base_model_identity(base.path).sha256 != base.sha256:
        raise ValueError(
            f"artifact {artifact.folder}: base model {base.path} is not the one that was judged"
        )


def write_artifact(
    artifact: Artifact, members: dict[str, Path], metrics: dict[str, JsonValue]
) -> None:
    """Write an artifact and load it once, so that one that cannot be served is never left behind silently."""
    told = {"metrics": metrics["models"], "refitted_at": metrics["refitted_at"]}
    manifest = artifact.manifest.model_copy(update=told)
    kept = {name: found for name, found in metrics.items() if name not in SHOW_CUSTOMERS}
    with new_folder(artifact.folder) as folder:
        artifact.settings.save(folder)
        artifact.items.write_parquet(folder / "items.parquet")
        write_json(folder / "metrics.json", kept)
        if artifact.rankers is not None:
            (folder / RANKERS_FOLDER).mkdir()
            save_rankers(folder / RANKERS_FOLDER, artifact.rankers)
        artifact.models.save(folder)
        for name, member in members.items():
            shutil.copytree(member, folder / "members" / name)
        write_manifest(folder, ARTIFACT_KIND, manifest)
    load_artifact(artifact.folder)
    logger.info("%s written", artifact.folder)
