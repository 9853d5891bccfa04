"""A member: one trained model in a folder that says what it was made from."""

import json
from dataclasses import dataclass
from pathlib import Path

from lifecycle.features.prompts import PROMPT_VERSION
from lifecycle.features.sequence import SEQUENCE_VERSION
from lifecycle.folders import MANIFEST, file_sha256, verify

MEMBER_KIND = "member"


@dataclass(frozen=True)
class DecoderSettings:
    """Which decoder reads the prompts, and how."""

    base_model: str | Path
    num_layers: int | None  # its first layers; None: all of them
    attention: str  # as in a training recipe; auto follows device and dtype
    max_tokens: int  # of a prompt
    device: str = "cpu"


def base_model_identity(base_model: str) -> dict[str, str | None]:
    """Where the base weights lie, their revision and the SHA-256 of their safetensors; they are not copied.

    The revision is the commit of a Hugging Face snapshot, or the identity in the folder's manifest,
    or None.

    Raises ValueError where the folder does not exist or holds no safetensors.
    """
    folder = Path(base_model)
    files = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not files:
        raise ValueError(
            f"base_model {base_model!r} is not a folder with config.json and *.safetensors"
        )
    hashes = [file_sha256(file) for file in files]
    return {"path": base_model, "revision": _revision(folder), "sha256": "+".join(hashes)}


def _revision(folder: Path) -> str | None:
    if folder.parent.name == "snapshots":  # .../models--ORG--NAME/snapshots/COMMIT
        return folder.name
    manifest = folder / MANIFEST
    return str(json.loads(manifest.read_text()).get("identity")) if manifest.is_file() else None


def read_member(folder: Path, task: str = "value") -> dict[str, object]:
    """The manifest of an undamaged member that this version can use.

    Raises ValueError for a damaged folder, another task or prompt version, or a base model that has
    changed since.
    """
    manifest = verify(folder, MEMBER_KIND)
    if manifest.get("task") != task:
        raise ValueError(
            f"member {folder} was trained for task {manifest.get('task')}; task {task} is needed here"
        )
    if task == "value":
        _check_version(folder, manifest)
    if is_sequence(manifest):
        return manifest
    base = manifest.get("base_model")
    assert isinstance(base, dict)
    found = base_model_identity(str(base["path"]))
    if found["sha256"] != base["sha256"]:
        raise ValueError(
            f"member {folder}: base model {base['path']} is not the one it was trained on"
        )
    return manifest


def _check_version(folder: Path, manifest: dict[str, object]) -> None:
    kind, current = (
        ("sequence", SEQUENCE_VERSION) if is_sequence(manifest) else ("prompt", PROMPT_VERSION)
    )
    version = manifest.get(f"{kind}_version")
    if version != current:
        raise ValueError(
            f"member {folder} was trained on {kind} version {version!r}; this version writes {current!r}: "
            "train it again"
        )


def is_sequence(member: dict[str, object]) -> bool:
    """Whether the member with this manifest reads events rather than prompts."""
    return member["encoder"] == "sequence"


def decoder_of(member: dict[str, object]) -> DecoderSettings:
    """The decoder that a member was trained with, its base model by absolute path; `member` is the manifest.

    How attention is computed follows the CPU that it will run on, not the device it was trained on.
    """
    base = member["base_model"]
    num_layers = member["num_layers"]
    assert isinstance(base, dict)
    assert isinstance(num_layers, int | None)
    path = Path(str(base["path"])).absolute()
    return DecoderSettings(path, num_layers, "auto", int(str(member["max_tokens"])))
