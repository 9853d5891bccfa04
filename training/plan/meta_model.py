"""A recipe's model on the meta device: shapes without memory, so an 8B model is measured on any laptop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AutoModel

from lifecycle.features.sequence import NUM_FEATURES
from lifecycle.features.vocabulary import FIRST_TITLE, Vocabulary
from lifecycle.folders import MANIFEST
from lifecycle.llama.decoder import architecture, attention_of, fast_dtype, with_lora
from lifecycle.llama.next_item.model import NextItemModel, Wanted, next_item_loss
from lifecycle.llama.sequence_model import SequenceModel
from lifecycle.llama.text_model import TextValueModel
from lifecycle.llama.titles import load_title_encoder, title_size
from lifecycle.llama.value_head import ValueHead
from training.plan.worker import ModelSizes
from training.prepare.sequences import FOLDER
from training.tasks.next_item.rows import read_next_item_rows
from training.tasks.recipes.next_item import NextItemRecipe
from training.tasks.recipes.sequence import SequenceRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import PlannedRecipe

FUSED_ATTENTION = "fused_on_meta"


def measure_model(config: PlannedRecipe) -> ModelSizes:
    """Build the recipe's model and run a forward pass of its largest micro-batch, all on the meta device.

    Raises ValueError where `base_model` is not a folder with a config.json (weights are not
    needed), or the examples of encoder sequence, by which its items are known, are not there.
    """
    AttentionInterface.register(FUSED_ATTENTION, _fused_attention)
    dtype = _weight_dtype(config)
    if isinstance(config, TextRecipe):
        return _text_sizes(config, dtype)
    if isinstance(config, NextItemRecipe):
        return _next_item_sizes(config, dtype)
    return _sequence_sizes(config, dtype)


def _weight_dtype(config: PlannedRecipe) -> torch.dtype:
    """What the loop makes of `dtype`; a GPU is taken to multiply bf16."""
    auto = fast_dtype("cpu") if config.device == "cpu" else torch.bfloat16
    return {"bf16": torch.bfloat16, "fp32": torch.float32, "auto": auto}[config.dtype]


def _text_sizes(config: TextRecipe, dtype: torch.dtype) -> ModelSizes:
    if not (Path(config.base_model) / "config.json").is_file():
        raise ValueError(f"base_model {config.base_model!r} is not a folder with a config.json")
    shape = architecture(config.decoder)
    with torch.device("meta"):
        attention = "eager" if attention_of(config.decoder, dtype) == "eager" else FUSED_ATTENTION
        decoder = AutoModel.from_config(shape, dtype=dtype, attn_implementation=attention)
        num_decoder = _count(decoder)
        head = ValueHead(shape.hidden_size)
        model = TextValueModel(
            decoder if config.lora is None else with_lora(decoder, config.lora), head
        ).train()
    model.to(dtype)  # peft leaves adapters on the meta device in float32
    activations = saved_bytes(model, lambda: _read_prompts(model, config, dtype))
    if config.gradient_checkpointing:
        # Each layer keeps its input, and the layer being recomputed keeps everything (Chen 2016, arXiv 1604.06174).
        inputs = config.micro_batch * config.max_tokens * shape.hidden_size * dtype.itemsize
        activations = shape.num_hidden_layers * inputs + activations // shape.num_hidden_layers
    return _sizes(model, num_decoder, _count(model.decoder) - num_decoder, dtype, activations)


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
    return _sizes(model, _count(model) - _count(model.head), 0, dtype, activations)


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
    return ModelSizes(
        decoder_parameters=_count(model),
        adapter_parameters=0,
        head_parameters=0,
        trainable_parameters=_count(model),
        largest_trainable=max(parameter.numel() for parameter in model.parameters()),
        weight_bytes=dtype.itemsize,
        activation_bytes=activations,
    )


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


def _sizes(
    model: TextValueModel | SequenceModel,
    num_decoder: int,
    num_adapter: int,
    dtype: torch.dtype,
    activations: int,
) -> ModelSizes:
    trained = [parameter.numel() for parameter in model.parameters() if parameter.requires_grad]
    return ModelSizes(
        decoder_parameters=num_decoder,
        adapter_parameters=num_adapter,
        head_parameters=_count(model.head),
        trainable_parameters=sum(trained),
        largest_trainable=max(trained),
        weight_bytes=dtype.itemsize,
        activation_bytes=activations,
    )


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _read_prompts(model: TextValueModel, config: TextRecipe, dtype: torch.dtype) -> None:
    """A forward pass over prompts of `max_tokens` each."""
    shape = config.micro_batch, config.max_tokens
    ids = torch.zeros(shape, dtype=torch.long, device="meta")
    mask = torch.zeros(
        (config.micro_batch, 1, config.max_tokens, config.max_tokens), dtype=dtype, device="meta"
    )
    hidden: Tensor = model.decoder(
        input_ids=ids, attention_mask=mask, use_cache=False
    ).last_hidden_state
    model.head(hidden[:, -1])


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


def saved_bytes(model: nn.Module, forward: Callable[[], None]) -> int:
    """Bytes of the tensors that autograd keeps for the backward pass, each storage once, weights left out."""
    weights = {
        tensor.untyped_storage()._cdata for tensor in [*model.parameters(), *model.buffers()]
    }
    kept: dict[
        int, Tensor
    ] = {}  # by storage; holding the tensors keeps their addresses from being used again

    def keep(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage()._cdata not in weights:
            kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        forward()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


class _KeepsWhatFlashKeeps(torch.autograd.Function):
    """Shape of FlashAttention and of SDPA's fused kernels: query, key, value and output are kept, no score matrix."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output)
        return output


def _fused_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **settings: object,
) -> tuple[Tensor, None]:
    output: Tensor = _KeepsWhatFlashKeeps.apply(query, key, value)  # type: ignore[no-untyped-call]
    return output.transpose(1, 2), None
