"""A base model to damage."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(tiny_base_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny base model."""
    return Path(shutil.copytree(tiny_base_model, tmp_path / "base"))
