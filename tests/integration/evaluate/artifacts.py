"""An artifact whose champion is a stack with a LLaMA in it."""

import json
import shutil
from pathlib import Path

from lifecycle.folders import file_sha256


def stacked(artifact: Path, folder: Path) -> Path:
    """The same artifact, had the arena chosen the stack and given its LLaMA a half, twice as high as it says."""
    shutil.copytree(artifact, folder)
    for name, changes in (
        ("settings.json", {"champion": "stack"}),
        ("stack.json", {"members": {"text_llama": {"scale": 2.0, "share": 0.5}}}),
    ):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | changes))
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in ("settings.json", "stack.json"):
        manifest["files"][name] = file_sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
