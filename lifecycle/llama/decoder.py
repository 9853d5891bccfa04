"""A Hugging Face decoder: loading, LoRA, attention, dtype, and prompts as batches of tokens."""

from collections.abc import Iterator
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.pytorch_utils import Conv1D
from transformers.utils import is_flash_attn_2_available
from transformers.utils import logging as transformers_logging

from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings

CPUINFO = Path("/proc/cpuinfo")


def last_hidden(decoder: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """Hidden state of the last real token of right-padded prompts, shape (n, hidden)."""
    hidden: Tensor = decoder(
        input_ids=input_ids, attention_mask=attention_mask, use_cache=False
    ).last_hidden_state
    last = attention_mask.sum(dim=1) - 1
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]


def load_tokenizer(base_model: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model, padding on the right: with its end token where it has no pad token.

    Raises ValueError where it has neither, or cannot be read.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(base_model)
    except (ValueError, TypeError, KeyError, OSError) as error:
        told = " ".join(str(error).split())
        raise ValueError(
            f"the tokenizer of {base_model} cannot be read: {type(error).__name__}: {told}"
        ) from None
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError(
            f"the tokenizer of {base_model} has neither pad_token nor eos_token; "
            'say in its tokenizer_config.json which token ends a text, such as "eos_token": "</s>"'
        )
    return tokenizer


def check_finite(model: nn.Module, folder: str | Path) -> None:
    """ValueError naming the first weight that has NaN or infinity. Takes .06 s for a GB of weights.

    A sum is finite only where all its parts are, and takes a twentieth of the time of looking at each.
    """
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if torch.isfinite(weights.sum()) or torch.isfinite(weights).all():
                continue
            bad = ~torch.isfinite(weights)
            value = float(weights[bad][0])
            raise ValueError(
                f"{folder}: {name} has {value} in {int(bad.sum())} of {weights.numel()} weights; "
                "they must be finite: copy the model anew, or take another"
            )


def architecture(settings: DecoderSettings) -> PreTrainedConfig:
    """The base model's configuration with as many layers as the settings keep; ValueError where it has fewer.

    Dropout of its own, which GPT-2 has, is off: what a run does stands in its recipe, which has
    `lora.dropout`.
    """
    config = AutoConfig.from_pretrained(settings.base_model)
    total = config.num_hidden_layers
    config.num_hidden_layers = settings.num_layers or total
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    if config.num_hidden_layers > total:
        raise ValueError(
            f"num_layers is {settings.num_layers}; base model {settings.base_model} has {total} layers"
        )
    return config


def attention_of(settings: DecoderSettings, dtype: torch.dtype) -> str:
    """The implementation of attention that the settings mean for weights of `dtype`, by its name in transformers.

    On a CPU the plain one's backward pass is faster in bf16 than SDPA's; FlashAttention knows no
    float32.
    """
    if settings.attention != "auto":
        return settings.attention
    if settings.device == "cpu":
        return "eager"
    has_flash = dtype in (torch.bfloat16, torch.float16) and is_flash_attn_2_available()
    return "flash_attention_2" if has_flash else "sdpa"


def load_decoder(settings: DecoderSettings, dtype: torch.dtype) -> PreTrainedModel:
    """The decoder of a base model, or its first layers, without its language-model head.

    Dropping the deeper layers costs little where a model is fine-tuned afterwards (Gromov et al.
    2024, arXiv 2403.17887), and a step takes that much less time.
    """
    transformers_logging.disable_progress_bar()  # the terminal is for the progress of our own work
    verbosity = transformers_logging.get_verbosity()
    if settings.num_layers is not None:
        transformers_logging.set_verbosity_error()  # it would list the weights of the layers left out
    try:
        model: PreTrainedModel = AutoModel.from_pretrained(
            settings.base_model,
            config=architecture(settings),
            dtype=dtype,
            attn_implementation=attention_of(settings, dtype),
        )
    finally:
        transformers_logging.set_verbosity(verbosity)
    check_finite(model, settings.base_model)
    return model


def with_lora(
    decoder: PreTrainedModel, settings: LoraSettings, task_type: str | None = None
) -> PeftModel:
    """The decoder with adapters in its own dtype; only they are trainable. `task_type` is what peft calls it."""
    total = decoder.config.num_hidden_layers
    first = total - (settings.num_layers or total)
    if first < 0:
        raise ValueError(
            f"lora.num_layers is {settings.num_layers}; the base model has {total} layers"
        )
    linear = [
        name for name, module in decoder.named_modules() if isinstance(module, nn.Linear | Conv1D)
    ]
    there = {name.rpartition(".")[2] for name in linear if _layer_number(name) >= 0}
    unknown = sorted(set(settings.targets) - there)
    if unknown or not settings.targets:
        raise ValueError(
            f"lora.targets are {list(settings.targets)}; the base model's layers have {sorted(there)}"
        )
    chosen = [
        n for n in linear if n.rpartition(".")[2] in settings.targets and _layer_number(n) >= first
    ]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=chosen,
        task_type=task_type,
    )
    return get_peft_model(decoder, config, autocast_adapter_dtype=False)


def _layer_number(module_name: str) -> int:
    """The layer a module lies in, from the first number in its name; -1 outside the layers."""
    return next((int(part) for part in module_name.split(".") if part.isdecimal()), -1)


def save_decoder(decoder: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    """Write adapter (or all weights); `state` has the trained weights by name, the decoder's below `decoder.`."""
    strip = "decoder."
    decoder_state = {
        name.removeprefix(strip): value for name, value in state.items() if name.startswith(strip)
    }
    decoder.save_pretrained(folder, state_dict=decoder_state)  # type: ignore[operator]
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card


def fast_dtype(device: str, cpuinfo: Path = CPUINFO) -> torch.dtype:
    """bf16 where the processor multiplies it faster than float32, else float32.

    Intel's AVX512-BF16 reaches half of float32's rate where there is no AMX, or a virtual machine
    hides it.
    """
    if device == "gpu":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    has_avx = torch.cpu._is_avx512_bf16_supported() and "GenuineIntel" not in cpuinfo.read_text()
    return torch.bfloat16 if has_avx or torch.cpu._is_amx_tile_supported() else torch.float32


def token_batches(
    tokenizer: PreTrainedTokenizerBase, prompts: list[str], max_tokens: int, batch_size: int
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """(positions in `prompts`, input_ids, attention_mask), similar lengths together.

    Of a prompt longer than `max_tokens` the first token and the end are kept: there the numbers
    stand, and training refuses a `max_tokens` that its own prompts exceed.
    """
    if not prompts:
        return
    tokens = [
        row if len(row) <= max_tokens else [row[0], *row[1 - max_tokens :]]
        for row in tokenizer(prompts)["input_ids"]
    ]
    order = sorted(range(len(tokens)), key=lambda position: len(tokens[position]))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        yield chosen, *pad_tokens([tokens[position] for position in chosen], tokenizer.pad_token_id)


def pad_tokens(tokens: list[list[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Token lists as right-padded ids and mask, both (n, longest)."""
    length = max(len(row) for row in tokens)
    ids = torch.tensor([row + [pad_id] * (length - len(row)) for row in tokens])
    mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in tokens])
    return ids, mask
