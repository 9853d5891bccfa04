"""A member: one trained model in a folder that says what it was made from."""

from dataclasses import dataclass
from pathlib import Path

from lifecycle.folders import file_sha256, verify
from lifecycle.prompts import PROMPT_VERSION

MEMBER_KIND = "member"


@dataclass(frozen=True)
class DecoderSettings:
    """Which decoder reads the prompts, and how."""

    base_model: str | Path
    num_layers: int | None  # its first layers; None: all of them
    attention: str
    max_tokens: int  # of a prompt


def base_model_identity(base_model: str) -> dict[str, str]:
    """Where the base weights lie and the SHA-256 over their safetensors files; they are referenced, not copied.

    Raises ValueError where the folder does not exist or holds no safetensors.
    """
    folder = Path(base_model)
    files = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not files:
        raise ValueError(f"base_model {base_model!r} is not a folder with config.json and *.safetensors")
    hashes = [file_sha256(file) for file in files]
    return {"path": base_model, "sha256": hashes[0] if len(hashes) == 1 else "+".join(hashes)}


def read_member(folder: Path) -> dict[str, object]:
    """The manifest of an undamaged member that this version can use.

    Raises ValueError for a damaged folder, another prompt version, or a base model that has changed since.
    """
    manifest = verify(folder, MEMBER_KIND)
    version = manifest.get("prompt_version")
    if version != PROMPT_VERSION:
        raise ValueError(
            f"member {folder} was trained on prompt version {version!r}; this version writes {PROMPT_VERSION!r}: "
            "train it again"
        )
    base = manifest.get("base_model")
    assert isinstance(base, dict)
    found = base_model_identity(str(base["path"]))
    if found["sha256"] != base["sha256"]:
        raise ValueError(f"member {folder}: base model {base['path']} is not the one it was trained on")
    return manifest


def decoder_of(member: dict[str, object]) -> DecoderSettings:
    """The decoder that a member was trained with, its base model by absolute path; `member` is the manifest."""
    base, num_layers = member["base_model"], member["num_layers"]
    assert isinstance(base, dict)
    assert isinstance(num_layers, int | None)
    path = Path(str(base["path"])).absolute()
    return DecoderSettings(path, num_layers, str(member["attention"]), int(str(member["max_tokens"])))
