"""A member: one trained model in a folder that says what it was made from."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import JsonValue

from lifecycle.features.baskets import NEXT_ITEM_VERSION
from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.features.sequence import SEQUENCE_VERSION
from lifecycle.folders import (
    MANIFEST,
    Manifest,
    Stored,
    file_sha256,
    read_manifest,
    verify,
)
from lifecycle.llama.base_model.files import check_files
from lifecycle.recommend.prompts import RERANK_PROMPT_VERSION

MEMBER_KIND = "member"
NEXT_ITEM = "next_item"  # the task of members that rank
RERANK = "rerank"  # and of those that re-rank


@dataclass(frozen=True)
class DecoderSettings:
    """Which decoder reads the prompts, and how."""

    base_model: str | Path
    num_layers: int | None  # its first layers; None: all of them
    attention: str  # as in a training recipe; auto follows device and dtype
    max_tokens: int  # of a prompt
    device: str = "cpu"


class BaseModelIdentity(Stored):
    """Base weights that a member was trained on; they are not copied into it."""

    path: str
    revision: str | None = None
    sha256: str


class MemberManifest(Manifest):
    """The manifest of a member: an encoder of prompts, one of events, or an adapter (task sft or rerank)."""

    task: str
    encoder: str
    name: str
    adapter: str | None = None  # of sft
    base_model: BaseModelIdentity | None = None  # None: it reads events
    num_layers: int | None = None  # of the base model, from the first; None: all
    max_tokens: int | None = None  # of a prompt
    prompt_version: str | None = None
    sequence_version: str | None = None  # of what reads events
    titles_by: BaseModelIdentity | None = None  # what reads titles in it
    horizon_days: int | None = None  # of what predicts value, like the next three
    dataset: str  # identity of the examples or conversations
    data_identity: str | None = None  # of the ingest folder
    test_cutoff: date | None = None
    recipe: dict[str, JsonValue]
    metrics: dict[str, float]


def base_model_identity(base_model: str) -> BaseModelIdentity:
    """Where the base weights lie, their revision and the SHA-256 of their safetensors; they are not copied.

    The revision is the commit of a Hugging Face snapshot, or the identity in the folder's manifest,
    or None.

    Raises ValueError where the folder does not exist or is not whole; see `check_files`.
    """
    check_files(base_model)
    folder = Path(base_model)
    hashes = [file_sha256(file) for file in sorted(folder.glob("*.safetensors"))]
    return BaseModelIdentity(path=base_model, revision=_revision(folder), sha256="+".join(hashes))


def _revision(folder: Path) -> str | None:
    if folder.parent.name == "snapshots":  # .../models--ORG--NAME/snapshots/COMMIT
        return folder.name
    manifest = folder / MANIFEST
    return str(json.loads(manifest.read_text()).get("identity")) if manifest.is_file() else None


def read_member(folder: Path, task: str = "value") -> MemberManifest:
    """The manifest of an undamaged member that this version can use.

    Raises ValueError for a damaged folder, another task or prompt version, or a base model that has
    changed since.
    """
    verify(folder, MEMBER_KIND)
    manifest = read_manifest(folder, MEMBER_KIND, MemberManifest)
    if manifest.task != task:
        raise ValueError(
            f"member {folder} was trained for task {manifest.task}; task {task} is needed here"
        )
    if task in ("value", NEXT_ITEM, RERANK):
        _check_version(folder, manifest)
    if is_sequence(manifest):
        return manifest
    base = manifest.base_model
    if base is None:
        raise ValueError(f"member {folder} reads text, but its manifest has no base_model")
    if base_model_identity(base.path).sha256 != base.sha256:
        raise ValueError(
            f"member {folder}: base model {base.path} is not the one it was trained on"
        )
    return manifest


def _check_version(folder: Path, manifest: MemberManifest) -> None:
    if is_sequence(manifest):
        kind = "sequence"
        version = manifest.sequence_version
        current = NEXT_ITEM_VERSION if manifest.task == NEXT_ITEM else SEQUENCE_VERSION
    else:
        kind = "prompt"
        version = manifest.prompt_version
        current = RERANK_PROMPT_VERSION if manifest.task == RERANK else PROMPT_VERSION
    if version != current:
        raise ValueError(
            f"member {folder} was trained on {kind} version {version!r}; this version writes {current!r}: "
            "train it again"
        )


def is_sequence(member: MemberManifest) -> bool:
    """Whether the member with this manifest reads events rather than prompts."""
    return member.encoder == "sequence"


def decoder_of(member: MemberManifest) -> DecoderSettings:
    """The decoder that a member was trained with, its base model by absolute path; `member` is the manifest.

    How attention is computed follows the CPU that it will run on, not the device it was trained on.
    """
    assert member.base_model is not None and member.max_tokens is not None
    path = Path(member.base_model.path).absolute()
    return DecoderSettings(path, member.num_layers, "auto", member.max_tokens)
