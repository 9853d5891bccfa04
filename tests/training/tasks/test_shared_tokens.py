"""What all conversations begin with is read once, and changes no loss."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig

from lifecycle.llama.language_model import TaughtLanguageModel
from lifecycle.llama.shared_prefix import can_share
from tests.builders import turns, write_conversations
from tests.training.tasks.sft_runs import recipe
from training.tasks.assistant_tokens import EncodedConversation
from training.tasks.recipes.union import TrainConfig
from training.tasks.sft import SftTask, shared_tokens

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


def test_shared_tokens_end_before_the_last_that_none_learns() -> None:
    def encoded(ids: list[int], first_learned: int) -> EncodedConversation:
        return EncodedConversation(np.array(ids), np.arange(len(ids)) >= first_learned)

    assert shared_tokens([encoded([1, 2, 3, 4, 5], 3), encoded([1, 2, 3, 9], 3)]) == 2
    assert shared_tokens([encoded([1, 2, 3, 4, 5], 4), encoded([1, 2, 8, 9, 9, 9], 5)]) == 2
    assert shared_tokens([encoded([1, 2, 3], 2), encoded([2, 2, 3], 2)]) == 0
    assert shared_tokens([encoded([1, 2, 3], 1)]) == 0
    assert shared_tokens([encoded([1, 2, 3, 4, 5], 4)]) == 3


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_shared_tokens_change_neither_losses_nor_gradients(kind: str, attention: str) -> None:
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "num_hidden_layers": 2}
    if kind == "llama":
        config = LlamaConfig(
            hidden_size=16,
            intermediate_size=32,
            num_attention_heads=4,
            num_key_value_heads=2,
            **sizes,
        )
    else:
        config = GPT2Config(
            n_embd=16, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, **sizes
        )
    model = TaughtLanguageModel(
        AutoModelForCausalLM.from_config(config, attn_implementation=attention).double()
    )
    assert can_share(config)
    ids = torch.randint(1, 50, (3, 12))
    ids[:, :5] = ids[0, :5]
    mask = (torch.arange(12) < torch.tensor([12, 9, 7])[:, None]).long()
    learned = (torch.arange(12) >= 6) & mask.bool()
    found = []
    for shared in (5, 0):
        losses = model(ids, mask, learned, shared)
        found.append((losses, *torch.autograd.grad(losses.sum(), list(model.parameters()))))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)  # norms are float32


def test_layers_that_forget_share_no_prefix() -> None:
    assert not can_share(MistralConfig(num_hidden_layers=2, sliding_window=8))


@pytest.mark.parametrize("stage", [0, 2])
@pytest.mark.parametrize("weights", ["lora", "all"])
def test_common_system_message_is_read_once_and_changes_no_loss(
    tiny_chat_model: Path, tmp_path: Path, stage: int, weights: str
) -> None:
    from training.loop.worker import start_run

    system = {"role": "system", "content": "You help the customers of a shop."}
    path = write_conversations(
        tmp_path / "c.jsonl", *([system, *turns(str(n), "x" * (n + 1))] for n in range(4))
    )
    changes = {"zero": {"stage": stage}} | ({} if weights == "lora" else {"lora": None})
    config = recipe(
        tiny_chat_model, path, tmp_path, global_batch=4, micro_batch=4, epochs=6, **changes
    )
    losses, read = {}, {}
    for shares in (True, False):
        run = start_run(config.model_dump(mode="json"))
        assert run.task.shared > len(system["content"])
        prompt_tokens = run.task.shared
        if not shares:
            run.task.shared = 0
        rows = []
        run.engine.module.decoder.get_input_embeddings().register_forward_hook(
            lambda _, inputs, __, rows=rows: rows.append(inputs[0].numel())
        )
        losses[shares] = []
        for step in range(4):
            run.take_step(step)
            losses[shares].append(run.loss)
        losses[shares].append(run.validate()["val_loss"])
        read[shares] = sum(rows)
    np.testing.assert_allclose(losses[True], losses[False], rtol=1e-5)
    assert losses[True][0] > losses[True][-1]
    assert read[False] - read[True] == 3 * prompt_tokens * 5


def test_nothing_is_shared_where_that_would_change_more_than_speed(unlike: TrainConfig) -> None:
    assert unlike.lora is not None
    for changes in (
        {},
        {"zero": unlike.zero.model_copy(update={"stage": 3})},
        {"lora": unlike.lora.model_copy(update={"dropout": 0.1})},
        {"gradient_checkpointing": True},
        {"micro_batch": 1},
    ):
        task = SftTask(unlike.model_copy(update=changes))
        task.new_model(torch.float32)
        assert bool(task.shared) == (not changes), changes
