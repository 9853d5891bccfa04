"""A sequence encoder in a folder: saved, loaded, and the start of another shop's."""

import json
from pathlib import Path

import polars as pl
from safetensors.torch import load_file, save_file
from torch import Tensor

from lifecycle.features.sequence import SequenceSettings
from lifecycle.features.vocabulary import FIRST_KNOWN, Vocabulary
from lifecycle.llama.sequence_model import SequenceModel, new_sequence_model
from lifecycle.llama.titles import TitleEncoder, load_title_encoder

WEIGHTS_FILE = "model.safetensors"
SETTINGS_FILE = "sequence.json"


def take_over(model: SequenceModel, vocabulary: Vocabulary, member: Path) -> None:
    """Give a new model what a trained member knows, of this shop or another.

    That is everything but the value head, which starts from the shop's own spend, and the items and
    categories that only the other shop has: an item is the same where id and title are, so that
    none without a title is, a category where its name is. A model that reads titles must read them
    as the member does. ValueError where sizes differ.
    """
    state = load_file(member / WEIGHTS_FILE)
    theirs = Vocabulary.load(member)
    ours = model.state_dict()
    copied = [
        name
        for name in ours
        if not name.startswith("head.") and name not in ("item.weight", "category.weight")
    ]
    for name in copied:
        if name not in state or state[name].shape != ours[name].shape:
            found = tuple(state[name].shape) if name in state else "not there"
            raise ValueError(
                f"start_from: {name} of {member} is {found}, the recipe's {tuple(ours[name].shape)}"
            )
        ours[name].copy_(state[name])
    for name, keys in (("item", ["item_id", "title_text"]), ("category", ["category_name"])):
        special = [(place, place) for place in range(FIRST_KNOWN)]
        for own, other in [*special, *_shared(vocabulary, theirs, name, keys)]:
            ours[f"{name}.weight"][own].copy_(state[f"{name}.weight"][other])


def _shared(
    ours: Vocabulary, theirs: Vocabulary, name: str, keys: list[str]
) -> list[tuple[int, int]]:
    """The places in both vocabularies of what is the same by `keys`."""
    known = _known(ours, name, keys).join(_known(theirs, name, keys), on=keys, suffix="_theirs")
    return known.select(name, f"{name}_theirs").rows()


def _known(vocabulary: Vocabulary, name: str, keys: list[str]) -> pl.DataFrame:
    rows = vocabulary.table.filter(pl.col(name) >= FIRST_KNOWN).select(name, *keys)
    return rows.drop_nulls().unique()


def save_sequence_model(
    state: dict[str, Tensor],
    settings: SequenceSettings,
    vocabulary: Vocabulary,
    encoder: TitleEncoder | None,
    horizon_days: int,
    scale: float,
    folder: Path,
) -> None:
    """Write weights as safetensors, the vocabulary as Parquet, and the rest as JSON."""
    save_file(
        {name: value.float().contiguous() for name, value in state.items()}, folder / WEIGHTS_FILE
    )
    vocabulary.save(folder)
    if encoder is not None:
        encoder.save(folder)
    content = {"settings": settings.model_dump(), "horizon_days": horizon_days, "scale": scale}
    (folder / SETTINGS_FILE).write_text(json.dumps(content))


def load_sequence_model(
    folder: Path, items: pl.DataFrame
) -> tuple[SequenceModel, Vocabulary, SequenceSettings, int, float]:
    """The saved model in evaluation mode, vocabulary, settings, horizon in days, and the scale of its targets.

    `items` is the catalogue of today; what is new in it has its category and, with titles, the
    vector of its own.
    """
    content = json.loads((folder / SETTINGS_FILE).read_text())
    settings = SequenceSettings.model_validate(content["settings"])
    trained_on = Vocabulary.load(folder)
    vocabulary = trained_on.with_catalogue(items)
    model = new_sequence_model(settings, vocabulary, load_title_encoder(folder))
    model.load_state_dict(load_file(folder / WEIGHTS_FILE))
    return model.eval(), vocabulary, settings, int(content["horizon_days"]), float(content["scale"])
