"""The decoder: its attention and dtype, its dropout, how many layers, prompts cut and batched."""

from pathlib import Path
from time import perf_counter

import pytest
import torch
from transformers import AutoConfig

from lifecycle.llama.decoder import (
    attention_of,
    fast_dtype,
    load_decoder,
    load_tokenizer,
    token_batches,
)
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings
from lifecycle.llama.text_model import (
    new_value_model,
)
from tests.builders import decoder


@pytest.mark.parametrize(
    ("wanted", "device", "dtype", "flash", "found"),
    [
        ("auto", "cpu", torch.bfloat16, True, "eager"),
        ("auto", "cpu", torch.float32, False, "eager"),
        ("auto", "gpu", torch.bfloat16, True, "flash_attention_2"),
        ("auto", "gpu", torch.float16, True, "flash_attention_2"),
        ("auto", "gpu", torch.float32, True, "sdpa"),
        ("auto", "gpu", torch.bfloat16, False, "sdpa"),
        ("sdpa", "cpu", torch.bfloat16, True, "sdpa"),
        ("eager", "gpu", torch.bfloat16, True, "eager"),
    ],
)
def test_attention_follows_device_dtype_and_packages_unless_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    device: str,
    dtype: torch.dtype,
    flash: bool,
    found: str,
) -> None:
    monkeypatch.setattr(
        "lifecycle.llama.decoder.is_flash_attn_2_available", lambda: flash
    )  # needs a GPU to be true
    assert attention_of(DecoderSettings("base", None, wanted, 320, device), dtype) == found


@pytest.mark.parametrize(
    ("vendor", "has_avx", "has_amx", "found"),
    [
        ("GenuineIntel", True, True, torch.bfloat16),
        ("GenuineIntel", True, False, torch.float32),
        ("AuthenticAMD", True, False, torch.bfloat16),
        ("AuthenticAMD", False, False, torch.float32),
    ],
)
def test_dtype_follows_what_the_processor_can_do(
    vendor: str,
    has_avx: bool,
    has_amx: bool,
    found: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nvendor_id : {vendor}\n")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    assert fast_dtype("cpu", tmp_path / "cpuinfo") == found


@pytest.mark.integration
@pytest.mark.alone
def test_dtype_is_none_that_this_processor_multiplies_far_slower() -> None:
    seconds: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    pairs = {
        dtype: (torch.ones(512, 576, dtype=dtype), torch.ones(1536, 576, dtype=dtype))
        for dtype in seconds
    }
    for _ in range(30):  # in turn, so that whatever else runs takes from both
        for dtype, (rows, weights) in pairs.items():
            started_at = perf_counter()
            torch.nn.functional.linear(rows, weights)
            seconds[dtype].append(perf_counter() - started_at)
    fast = fast_dtype("cpu")
    other = torch.float32 if fast == torch.bfloat16 else torch.bfloat16
    assert min(seconds[fast]) < 1.3 * min(seconds[other])


def test_decoder_is_loaded_with_the_attention_of_its_device(tiny_base_model: Path) -> None:
    for wanted, found in (("auto", "eager"), ("sdpa", "sdpa")):
        settings = DecoderSettings(tiny_base_model, None, wanted, 320)
        assert load_decoder(settings, torch.bfloat16).config._attn_implementation == found


def test_base_models_own_dropout_is_off_in_training(gpt2_base_model: Path) -> None:
    assert AutoConfig.from_pretrained(gpt2_base_model).attn_pdrop == 0.1
    model = new_value_model(
        decoder(gpt2_base_model), LoraSettings(targets=("c_attn",), dropout=0.2), torch.float32
    )
    assert all(module.training for module in model.modules())
    adapters = {
        name: module.p
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Dropout)
    }
    assert {p for name, p in adapters.items() if "lora_dropout" in name} == {0.2}
    assert {p for name, p in adapters.items() if "lora_dropout" not in name} == {0.0}


def test_token_batches_give_every_prompt_once(tiny_base_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_base_model)
    prompts = ["a" * (1 + number * 7 % 13) for number in range(23)]
    seen: list[int] = []
    for chosen, ids, mask in token_batches(tokenizer, prompts, 20, 5):
        assert ids.shape == mask.shape and len(chosen) <= 5
        assert mask.sum(dim=1).tolist() == [len(prompts[position]) for position in chosen]
        assert (ids[mask == 0] == tokenizer.pad_token_id).all()
        seen += chosen
    assert sorted(seen) == list(range(23))


def test_more_layers_than_the_base_model_has_are_refused(tiny_base_model: Path) -> None:
    with pytest.raises(ValueError, match="num_layers is 3; base model .* has 2 layers"):
        load_decoder(decoder(tiny_base_model, 3), torch.float32)


def test_prompt_over_max_tokens_keeps_its_first_token_and_its_end(tiny_base_model: Path) -> None:
    tokenizer = load_tokenizer(tiny_base_model)
    (_, ids, _), *_ = token_batches(tokenizer, ["a" * 20], 20, 5)
    assert tokenizer.decode(ids[0]) == "a" * 20
    (_, ids, mask), *_ = token_batches(tokenizer, ["Buys long names,044"], 5, 5)
    assert tokenizer.decode(ids[0]) == "B,044" and mask.sum() == 5


def test_tokenizer_pads_on_the_right_whatever_the_base_model_says(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    tokenizer = load_tokenizer(tiny_base_model)
    tokenizer.padding_side, tokenizer.pad_token = "left", None
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert (loaded.padding_side, loaded.pad_token) == ("right", loaded.eos_token)
