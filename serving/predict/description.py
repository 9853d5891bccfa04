"""What is served, in words."""

from pydantic import TypeAdapter

from lifecycle.artifact.contents import Artifact
from lifecycle.state.answers import Answer

DESCRIBED = (
    "champion",
    "recommender",
    "horizon_days",
    "clv",
    "currency",
    "segment_thresholds",
    "segments_as_of",
    "prompt_version",
    "format_version",
    "base_model",
    "metrics",
    "packages",
    "identity",
    "costs",
    "refitted_at",
    "season",
)


def describe(artifact: Artifact) -> Answer:
    """Models, cutoff, horizon, metrics, versions."""
    told = artifact.manifest.model_dump(mode="json")
    described = {name: told[name] for name in DESCRIBED}
    described["data_end"] = artifact.settings.data_end
    described["num_items"] = artifact.items["item_id"].n_unique()
    return TypeAdapter(Answer).validate_python(described)
