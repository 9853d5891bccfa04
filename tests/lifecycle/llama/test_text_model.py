"""The decoder with its value head: padding, adapters, saving and loading, token batches, learning."""

import copy
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from lifecycle.llama.decoder import (
    attention_of,
    last_hidden,
    load_decoder,
    load_tokenizer,
    pad_tokens,
    token_batches,
)
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings
from lifecycle.llama.text_model import (
    TextValueModel,
    load_value_model,
    new_value_model,
    save_value_model,
)
from lifecycle.llama.value_head import ValueHead
from lifecycle.spend.ziln import starting_logits, ziln_loss
from tests.builders import decoder

PROMPTS = ["Spend 10", "Spend 20, then 30", "Last: none, buys tea and bread", "x"]
TARGETS = torch.tensor([0.0, 2.5, 0.4, 7.0])


def trained_state(model: TextValueModel) -> dict[str, torch.Tensor]:
    """The weights that training changes, by name."""
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def model_with_a_trained_look(base_model: Path, lora: LoraSettings | None) -> TextValueModel:
    """A model whose adapters (zero at first) and head differ from what they start as."""
    torch.manual_seed(2)
    model = new_value_model(decoder(base_model), lora, torch.float32).eval()
    with torch.no_grad():
        for parameter in trained_state(model).values():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def batch(base_model: Path, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and mask of some prompts."""
    tokenizer = load_tokenizer(base_model)
    return pad_tokens(tokenizer(prompts)["input_ids"], tokenizer.pad_token_id)


BASES = pytest.mark.parametrize("base", ["tiny_base_model", "gpt2_base_model"])
ATTENTIONS = pytest.mark.parametrize("attention", ["eager", "sdpa"])


@BASES
@ATTENTIONS
def test_prompts_of_a_batch_do_not_change_each_others_logits(
    base: str, attention: str, request: pytest.FixtureRequest
) -> None:
    base_model: Path = request.getfixturevalue(base)
    model = model_with_a_trained_look(base_model, None)
    model.decoder.set_attn_implementation(attention)  # type: ignore[operator]
    with torch.inference_mode():
        alone = torch.cat([model(*batch(base_model, [prompt])) for prompt in PROMPTS])
        for order in itertools.permutations(range(len(PROMPTS))):
            together = model(*batch(base_model, [PROMPTS[position] for position in order]))
            torch.testing.assert_close(together, alone[list(order)], rtol=1e-4, atol=1e-5)
    assert (torch.pdist(alone) > 1e-2).all(), (
        "the prompts must differ for this test to mean anything"
    )


@BASES
@ATTENTIONS
def test_gradients_of_a_batch_are_the_sum_of_those_of_its_prompts(
    base: str, attention: str, request: pytest.FixtureRequest
) -> None:
    base_model: Path = request.getfixturevalue(base)
    model = model_with_a_trained_look(base_model, None)
    model.decoder.set_attn_implementation(attention)  # type: ignore[operator]
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]

    def gradients(places: list[int]) -> dict[str, torch.Tensor]:
        model.zero_grad()
        logits = model(*batch(base_model, [PROMPTS[place] for place in places]))
        (len(places) * ziln_loss(logits, TARGETS[places])).backward()
        return {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }

    together, alone = gradients([2, 0, 3, 1]), [gradients([place]) for place in range(len(PROMPTS))]
    assert set(together) == set(names)
    for name in names:
        expected = torch.stack([single[name] for single in alone]).sum(dim=0)
        torch.testing.assert_close(
            together[name], expected, rtol=1e-3, atol=1e-5 + 1e-4 * float(expected.abs().max())
        )


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


def test_head_reads_the_last_real_token(tiny_base_model: Path) -> None:
    model = model_with_a_trained_look(tiny_base_model, LoraSettings(rank=2))
    ids, mask = batch(tiny_base_model, PROMPTS)
    lengths = [len(prompt.encode()) for prompt in PROMPTS]  # the tokenizer has one token per byte
    with torch.inference_mode():
        hidden = model.decoder(input_ids=ids, attention_mask=mask).last_hidden_state
        last = torch.stack([hidden[row, length - 1] for row, length in enumerate(lengths)])
        torch.testing.assert_close(model(ids, mask), model.head(last))


@pytest.mark.parametrize(("num_layers", "layers"), [(1, {1}), (2, {0, 1}), (None, {0, 1})])
def test_lora_adapts_named_targets_of_the_top_layers_only(
    tiny_base_model: Path, num_layers: int | None, layers: set[int]
) -> None:
    lora = LoraSettings(rank=2, targets=("q_proj", "down_proj"), num_layers=num_layers)
    model = new_value_model(decoder(tiny_base_model), lora, torch.float32)
    adapted = {name.rpartition(".lora_")[0] for name in trained_state(model) if "lora_" in name}
    expected = {f"{layer}.self_attn.q_proj" for layer in layers} | {
        f"{layer}.mlp.down_proj" for layer in layers
    }
    assert {name.partition("layers.")[2] for name in adapted} == expected
    assert {name for name in trained_state(model) if "lora_" not in name} == {
        "head.linear.weight",
        "head.linear.bias",
    }


def test_lora_reaches_the_fused_attention_of_gpt2(gpt2_base_model: Path) -> None:
    lora = LoraSettings(rank=2, targets=("c_attn",), num_layers=2)
    state = trained_state(new_value_model(decoder(gpt2_base_model), lora, torch.float32))
    shapes = {
        name.partition("h.")[2]: tuple(value.shape)
        for name, value in state.items()
        if "lora_" in name
    }
    assert shapes == {
        f"{layer}.attn.c_attn.lora_{part}.default.weight": shape
        for layer in (1, 2)
        for part, shape in (("A", (2, 32)), ("B", (96, 2)))
    }


def test_unknown_lora_target_is_refused_with_what_there_is(
    tiny_base_model: Path, gpt2_base_model: Path
) -> None:
    for base_model, targets, there in (
        (
            tiny_base_model,
            ("c_attn",),
            "'down_proj', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj'",
        ),
        (tiny_base_model, ("q_proj", "qq_proj"), "'q_proj'"),
        (gpt2_base_model, ("q_proj",), "'c_attn', 'c_fc', 'c_proj'"),
    ):
        with pytest.raises(
            ValueError, match=rf"lora.targets are .*{targets[-1]}.* layers have \[.*{there}"
        ):
            new_value_model(decoder(base_model), LoraSettings(targets=targets), torch.float32)


def test_more_lora_layers_than_the_model_has_are_refused(tiny_base_model: Path) -> None:
    with pytest.raises(ValueError, match="lora.num_layers is 3; the base model has 2 layers"):
        new_value_model(decoder(tiny_base_model), LoraSettings(num_layers=3), torch.float32)


@pytest.mark.parametrize(
    "case", ["llama", "llama, top layer", "gpt2", "llama, all weights", "gpt2, all weights"]
)
def test_loaded_model_equals_the_saved_one(
    tiny_base_model: Path, gpt2_base_model: Path, tmp_path: Path, case: str
) -> None:
    base_model = gpt2_base_model if case.startswith("gpt2") else tiny_base_model
    targets = ("c_attn", "c_proj") if case.startswith("gpt2") else ("q_proj", "up_proj")
    lora = LoraSettings(rank=3, alpha=6, targets=targets, num_layers=1 if "top" in case else None)
    model = model_with_a_trained_look(base_model, None if "all" in case else lora)
    state = {name: value.clone() for name, value in trained_state(model).items()}
    save_value_model(model, state, 12.5, tmp_path)
    loaded, scale = load_value_model(tmp_path, decoder(base_model), torch.float32)
    inputs = batch(base_model, PROMPTS)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*inputs), model(*inputs), rtol=1e-5, atol=1e-5)
        untrained = new_value_model(decoder(base_model), None, torch.float32)(*inputs)
    assert (loaded(*inputs) - untrained).abs().max() > 1e-2
    assert scale == 12.5 and not loaded.training


def test_saving_writes_the_given_state_not_the_module(
    tiny_base_model: Path, tmp_path: Path
) -> None:
    """Under ZeRO-3 the module's own weights are shards; only the gathered state is whole."""
    model = model_with_a_trained_look(tiny_base_model, LoraSettings(rank=2))
    inputs = batch(tiny_base_model, PROMPTS)
    with torch.inference_mode():
        expected = model(*inputs)
    state = copy.deepcopy(trained_state(model))
    with torch.no_grad():
        for parameter in trained_state(model).values():
            parameter.zero_()
    save_value_model(model, state, 1.0, tmp_path)
    loaded, _ = load_value_model(tmp_path, decoder(tiny_base_model), torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*inputs), expected, rtol=1e-5, atol=1e-5)


def test_lora_member_holds_no_base_weights(tiny_base_model: Path, tmp_path: Path) -> None:
    model = model_with_a_trained_look(tiny_base_model, LoraSettings(rank=2))
    save_value_model(model, trained_state(model), 1.0, tmp_path)
    numbers = 2 * (2 * 64 + 2 * 64) + 2 * (
        2 * 64 + 2 * 32
    )  # two layers; q_proj is 64 x 64, v_proj 32 x 64
    assert (tmp_path / "adapter_model.safetensors").stat().st_size == pytest.approx(
        4 * numbers, abs=2000
    )


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


@pytest.mark.parametrize("lora", [LoraSettings(rank=2), None])
@BASES
def test_model_of_the_first_layers_is_saved_and_loaded(
    base: str, lora: LoraSettings | None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    base_model: Path = request.getfixturevalue(base)
    lora = lora and lora.model_copy(
        update={"targets": ("c_attn" if base == "gpt2_base_model" else "q_proj",)}
    )
    model = new_value_model(decoder(base_model, 1), lora, torch.float32).eval()
    whole = load_decoder(decoder(base_model), torch.float32)
    inputs = batch(base_model, PROMPTS)
    ids, mask = inputs
    first_layer = whole(
        input_ids=ids, attention_mask=mask, output_hidden_states=True
    ).hidden_states[1]
    assert model.decoder.config.num_hidden_layers == 1  # type: ignore[union-attr]
    norm = whole.ln_f if hasattr(whole, "ln_f") else whole.norm
    expected = norm(first_layer)[torch.arange(len(PROMPTS)), mask.sum(dim=1) - 1]
    assert torch.allclose(last_hidden(model.decoder, *inputs), expected, atol=1e-5)
    save_value_model(model, trained_state(model), 2.0, tmp_path)
    loaded, _ = load_value_model(tmp_path, decoder(base_model, 1), torch.float32)
    assert torch.allclose(loaded(*inputs), model(*inputs), atol=1e-5)


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


def test_untrained_head_gives_every_customer_the_moments_of_the_data() -> None:
    generator = np.random.default_rng(3)
    spend = np.where(generator.random(4000) < 0.35, generator.lognormal(1.2, 0.7, 4000), 0.0)
    head = ValueHead(16)
    head.start_from(torch.tensor(spend, dtype=torch.float32))
    logits = head(torch.randn(2, 16)).detach().double().numpy()
    np.testing.assert_allclose(logits[0], logits[1])
    logs = np.log(spend[spend > 0])
    odds = np.exp(logits[0, 2]) * 0.95 / 2.0  # sigma runs from 0.05 to 3 and is 1 at logit 0
    assert 1 / (1 + np.exp(-logits[0, 0])) == pytest.approx((spend > 0).mean(), abs=1e-3)
    assert logits[0, 1] == pytest.approx(logs.mean(), abs=1e-5)
    assert 0.05 + 2.95 * odds / (1 + odds) == pytest.approx(logs.std(ddof=1), abs=1e-5)


@pytest.mark.parametrize("targets", [[0.0, 0.0, 0.0], [0.0, 3.0], [5.0, 5.0, 5.0]])
def test_degenerate_targets_still_start_finite(targets: list[float]) -> None:
    head = ValueHead(4)
    head.start_from(torch.tensor(targets))
    assert torch.isfinite(head(torch.randn(1, 4))).all()


@pytest.mark.parametrize("lora", [LoraSettings(rank=4, alpha=8), None])
def test_loss_falls_on_a_memorisable_batch(
    tiny_base_model: Path, lora: LoraSettings | None
) -> None:
    torch.manual_seed(4)
    model = new_value_model(decoder(tiny_base_model), lora, torch.float32)
    model.head.start_from(TARGETS)
    inputs = batch(tiny_base_model, PROMPTS)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    losses = []
    for _ in range(80):
        loss = ziln_loss(model(*inputs), TARGETS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    one_for_all = ziln_loss(starting_logits(TARGETS).expand(4, 3), TARGETS).item()
    assert losses[0] == pytest.approx(one_for_all, rel=1e-5)
    assert losses[-1] < one_for_all - 1.5
