"""The decoder with its value head: padding, saving and loading, learning."""

import copy
import itertools
from pathlib import Path

import pytest
import torch

from lifecycle.llama.decoder import (
    last_hidden,
    load_decoder,
)
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.text_model import (
    load_value_model,
    new_value_model,
    save_value_model,
)
from lifecycle.spend.ziln import starting_logits, ziln_loss
from tests.builders import decoder
from tests.lifecycle.llama.text_models import (
    PROMPTS,
    batch,
    model_with_a_trained_look,
    trained_state,
)

TARGETS = torch.tensor([0.0, 2.5, 0.4, 7.0])
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


def test_head_reads_the_last_real_token(tiny_base_model: Path) -> None:
    model = model_with_a_trained_look(tiny_base_model, LoraSettings(rank=2))
    ids, mask = batch(tiny_base_model, PROMPTS)
    lengths = [len(prompt.encode()) for prompt in PROMPTS]  # the tokenizer has one token per byte
    with torch.inference_mode():
        hidden = model.decoder(input_ids=ids, attention_mask=mask).last_hidden_state
        last = torch.stack([hidden[row, length - 1] for row, length in enumerate(lengths)])
        torch.testing.assert_close(model(ids, mask), model.head(last))


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
