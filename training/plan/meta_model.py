"""A recipe's model on the meta device: shapes without memory, so an 8B model is measured on any laptop."""

import torch
from transformers import AttentionInterface

from lifecycle.features.sequence import NUM_FEATURES
from lifecycle.features.vocabulary import FIRST_TITLE, Vocabulary
from lifecycle.folders import MANIFEST
from lifecycle.llama.decoder import fast_dtype
from lifecycle.llama.next_item.model import NextItemModel, Wanted, next_item_loss
from lifecycle.llama.sequence_model import SequenceModel
from lifecycle.llama.titles import load_title_encoder, title_size
from training.plan.meta_bytes import (
    FUSED_ATTENTION,
    count,
    fused_attention,
    saved_bytes,
    sizes_of,
)
from training.plan.meta_decoders import language_sizes, text_sizes
from training.plan.worker import ModelSizes
from training.prepare.sequences import FOLDER
from training.tasks.next_item.rows import read_next_item_rows
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import PlannedRecipe


def measure_model(config: PlannedRecipe) -> ModelSizes:
    """Build the recipe's model and run a forward pass of its largest micro-batch, all on the meta device.

    Raises ValueError where `base_model` is not a folder with a config.json (weights are not
    needed), or the examples of encoder sequence, by which its items are known, are not there.
    """
    AttentionInterface.register(FUSED_ATTENTION, fused_attention)
    dtype = _weight_dtype(config)
    if isinstance(config, TextRecipe):
        return text_sizes(config, dtype)
    if isinstance(config, RerankRecipe):
        return language_sizes(config, dtype)
    if isinstance(config, NextItemRecipe):
        return _next_item_sizes(config, dtype)
    return _sequence_sizes(config, dtype)


def _weight_dtype(config: PlannedRecipe) -> torch.dtype:
    """What the loop makes of `dtype`; a GPU is taken to multiply bf16."""
    auto = fast_dtype("cpu") if config.device == "cpu" else torch.bfloat16
    return {"bf16": torch.bfloat16, "fp32": torch.float32, "auto": auto}[config.dtype]


def _sequence_sizes(config: SequenceRecipe, dtype: torch.dtype) -> ModelSizes:
    folder = config.examples / FOLDER
    if not folder.is_dir():
        raise ValueError(
            f"the sequence encoder has an embedding per item of its vocabulary, but there is no {folder}; "
            "run training.prepare first"
        )
    vocabulary = Vocabulary.load(folder)
    num_titles = len(vocabulary.titles)
    start = None if config.start_from is None else load_title_encoder(config.start_from)
    size = (
        0
        if config.base_model is None
        else start.size
        if start
        else title_size(config.base_model, num_titles)
    )
    with torch.device("meta"):
        model = SequenceModel(
            config.sequence, vocabulary.num_items, vocabulary.num_categories, size
        )
        if size:
            model.titles = torch.zeros(FIRST_TITLE + num_titles, size)
            model.title_of_item = torch.zeros(vocabulary.num_items, dtype=torch.long)
    model.to(dtype).train()
    model.decoder.set_attn_implementation(FUSED_ATTENTION)
    activations = saved_bytes(model, lambda: _read_events(model, config))
    head = count(model.head)
    return sizes_of(model, count(model) - head, head, dtype, activations)


def _next_item_sizes(config: NextItemRecipe, dtype: torch.dtype) -> ModelSizes:
    if not (config.examples / MANIFEST).is_file():
        raise ValueError(
            f"the next-item encoder has a vector per item, but there are no examples in {config.examples}; "
            "run training.prepare first"
        )
    vocabulary = read_next_item_rows(config).vocabulary
    num_titles = len(vocabulary.titles)
    size = 0 if config.base_model is None else title_size(config.base_model, num_titles)
    with torch.device("meta"):
        model = NextItemModel(config.sequence, vocabulary, size)
        if size:
            model.titles = torch.zeros(FIRST_TITLE + num_titles, size)
    model.to(dtype).train()
    model.decoder.set_attn_implementation(FUSED_ATTENTION)
    activations = saved_bytes(model, lambda: _read_purchases(model, config))
    return sizes_of(model, count(model), 0, dtype, activations)


def _read_purchases(model: NextItemModel, config: NextItemRecipe) -> None:
    """A forward pass over histories of `max_events` each, all of them orders of one item."""
    shape = config.micro_batch, config.sequence.max_events
    num_places = config.micro_batch * config.sequence.max_events
    num_items = model.num_items
    if num_items > config.softmax_items:
        num_items = min(num_items, config.sampled_items + num_places)
    item, places, candidates = (
        torch.zeros(size, dtype=torch.long, device="meta")
        for size in (shape, num_places, num_items)
    )
    logits = model(item, torch.zeros(shape, device="meta"), places, candidates)
    next_item_loss(logits, None, Wanted(places, places))


def _read_events(model: SequenceModel, config: SequenceRecipe) -> None:
    """A forward pass over histories of `max_events` each, and the losses of what comes next."""
    shape = config.micro_batch, config.sequence.max_events + 1
    item, category, title, kind = (
        torch.zeros(shape, dtype=torch.long, device="meta") for _ in range(4)
    )
    features = torch.zeros((*shape, NUM_FEATURES), device="meta")
    hidden = model.hidden(item, category, title, kind, features)
    model.head(hidden[:, -1])
    num_events = config.micro_batch * (config.sequence.max_events - 1)
    places = torch.zeros(num_events, dtype=torch.long, device="meta")
    model.next_event_loss(
        hidden, item, features, (places, places), places[: config.next_item_positions]
    )
