"""Whether a base model can be loaded as its config.json says: architecture, tensors, tokenizer. No weight is read."""

import re
from collections.abc import Iterable
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from lifecycle.llama.base_model.files import CONFIG, check_files
from lifecycle.llama.decoder import architecture, load_tokenizer, with_lora
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings

# What transformers makes of a config.json whose values do not fit.
MISFITS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)
NAMED = 3  # tensors in a message
NUMBERED = re.compile(
    r"\.\d+\..*weight$"
)  # of a layer; heads, which have no number, may be left over


def check_loading(base_model: str | Path, *, with_head: bool) -> None:
    """ValueError where a base model is no causal decoder, or its tensors or its tokenizer do not fit its config.json.

    `with_head`: it has to write, so the head over its vocabulary must be there too.
    """
    check_files(base_model)
    folder = Path(base_model)
    config = causal_config(folder)
    _check_tensors(folder, config, with_head=with_head)
    _check_tokenizer(folder, int(config.vocab_size))


def check_settings(settings: DecoderSettings, lora: LoraSettings | None) -> None:
    """ValueError where a recipe asks for layers, adapters or positions that a base model does not have.

    It is built without memory: what a worker would find in a minute is found before one starts.
    """
    shape = architecture(settings)
    positions = getattr(shape, "max_position_embeddings", None)
    if positions is not None and settings.max_tokens > positions:
        raise ValueError(
            f"max_tokens is {settings.max_tokens}, but base model {settings.base_model} has "
            f"{positions} positions (max_position_embeddings); lower max_tokens"
        )
    if lora is not None:
        with torch.device("meta"):
            with_lora(AutoModel.from_config(shape), lora)


def causal_config(folder: Path) -> PreTrainedConfig:
    """The configuration of a base model; ValueError where it is not that of a causal decoder."""
    told, _ = PreTrainedConfig.get_config_dict(folder)
    kind = told.get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ValueError(_no_decoder(folder, kind))
    try:
        config = AutoConfig.from_pretrained(folder)
    except MISFITS as error:
        raise ValueError(_does_not_fit(folder, error)) from None
    is_encoder = getattr(config, "is_decoder", None) is False
    if config.is_encoder_decoder or is_encoder or not hasattr(config, "num_hidden_layers"):
        raise ValueError(_no_decoder(folder, kind))
    return config


def _no_decoder(folder: Path, kind: object) -> str:
    return (
        f"base_model {folder} is no causal decoder of text: {CONFIG} has model_type {kind!r}; "
        "take one such as LLaMA, Qwen, Mistral or GPT-2"
    )


def _does_not_fit(folder: Path, error: Exception) -> str:
    told = " ".join(str(error).split())
    return f"{folder / CONFIG} does not say how to build its model: {type(error).__name__}: {told}"


def _check_tensors(folder: Path, config: PreTrainedConfig, *, with_head: bool) -> None:
    """ValueError for tensors that transformers would make up, or that have another shape than config.json says."""
    model_class = AutoModelForCausalLM if with_head else AutoModel
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # it would list all tensors
    transformers_logging.disable_progress_bar()
    try:
        _, found = model_class.from_pretrained(
            folder,
            config=config,
            dtype=torch.bfloat16,
            device_map="meta",  # shapes alone, from the headers
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except MISFITS as error:
        raise ValueError(_does_not_fit(folder, error)) from None
    finally:
        transformers_logging.set_verbosity(verbosity)
    for name, stored, wanted in sorted(found["mismatched_keys"]):
        raise ValueError(
            f"base_model {folder}: {name} has the shape {tuple(stored)}, {CONFIG} says {tuple(wanted)}; "
            "take config.json and weights of the same model"
        )
    if found["missing_keys"]:
        raise ValueError(
            f"base_model {folder} lacks {_named(found['missing_keys'])}, which {CONFIG} calls for; "
            "copy the whole model"
        )
    of_layers = [name for name in found["unexpected_keys"] if NUMBERED.search(name)]
    if of_layers:
        raise ValueError(
            f"base_model {folder} has {_named(of_layers)}, which {CONFIG} does not call for; "
            "take config.json and weights of the same model"
        )


def _named(tensors: Iterable[str]) -> str:
    names = sorted(tensors)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _check_tokenizer(folder: Path, num_rows: int) -> None:
    """ValueError for a token behind the last row of the embedding."""
    tokenizer = load_tokenizer(folder)
    token, number = max(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    if number >= num_rows:
        raise ValueError(
            f"base_model {folder}: the tokenizer's {token!r} is number {number}, but the embedding has {num_rows} rows "
            f"(0 to {num_rows - 1}); take the tokenizer of these weights, or enlarge the embedding and save both"
        )
