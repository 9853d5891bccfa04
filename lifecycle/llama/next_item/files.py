"""A next-item encoder in a folder: saved and loaded."""

import json
from pathlib import Path

import polars as pl
from safetensors.torch import load_file, save_file
from torch import Tensor

from lifecycle.config import Config
from lifecycle.features.baskets import NextItemSettings
from lifecycle.features.vocabulary import Vocabulary
from lifecycle.llama.next_item.model import NextItemModel, new_next_item_model
from lifecycle.llama.titles import TitleEncoder, load_title_encoder

WEIGHTS_FILE = "model.safetensors"
SETTINGS_FILE = "next_item.json"


class StoredNextItem(Config):
    """next_item.json: what the weights do not say."""

    settings: NextItemSettings
    reads_lines: bool  # each purchase by itself, or order by order


def save_next_item_model(
    state: dict[str, Tensor],
    stored: StoredNextItem,
    vocabulary: Vocabulary,
    encoder: TitleEncoder | None,
    folder: Path,
) -> None:
    """Write weights as safetensors, the vocabulary as Parquet, and the rest as JSON."""
    weights = {name: value.float().contiguous() for name, value in state.items()}
    save_file(weights, folder / WEIGHTS_FILE)
    vocabulary.save(folder)
    if encoder is not None:
        encoder.save(folder)
    (folder / SETTINGS_FILE).write_text(json.dumps(stored.model_dump(mode="json")))


def load_next_item_model(
    folder: Path, items: pl.DataFrame
) -> tuple[NextItemModel, Vocabulary, StoredNextItem]:
    """The saved model in evaluation mode, its vocabulary with what is new in the catalogue `items`, and the rest."""
    stored = StoredNextItem.model_validate_json((folder / SETTINGS_FILE).read_text())
    vocabulary = Vocabulary.load(folder).with_catalogue(items)
    model = new_next_item_model(stored.settings, vocabulary, load_title_encoder(folder))
    model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    return model.eval(), vocabulary, stored
