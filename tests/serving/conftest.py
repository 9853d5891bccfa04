"""The tiny artifact, loaded."""

from pathlib import Path

import pytest

from serving.predict.predictor import Predictor


@pytest.fixture(scope="session")
def predictor(tiny_artifact: Path) -> Predictor:
    """Answers that tests of the API and of the predictor compare."""
    return Predictor(tiny_artifact)
