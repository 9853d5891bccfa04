"""Teaching a language model inside one process: its loss, its validation, and the member that generates."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.builders import turns, write_conversations
from tests.training.tasks.sft_runs import recipe
from training.tasks.recipes.union import TrainConfig
from training.tasks.sft import SftTask

pytestmark = pytest.mark.usefixtures("deepspeed_environment")


def plain_losses(base_model: Path, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss and number of learned tokens of each conversation, as transformers computes them one at a time."""
    model = AutoModelForCausalLM.from_pretrained(base_model, dtype=torch.float32)
    losses, counts = [], []
    for encoded in SftTask(config).conversations:
        ids = torch.tensor(encoded.ids[None].astype(np.int64))
        labels = torch.where(torch.tensor(encoded.learned[None]), ids, -100)
        with torch.inference_mode():
            losses.append(float(model(input_ids=ids, labels=labels).loss))
        counts.append(int((labels != -100).sum()))
    return np.array(losses), np.array(counts)


def test_validation_loss_is_the_mean_over_all_learned_tokens(
    unlike: TrainConfig, tiny_chat_model: Path
) -> None:
    from training.loop.worker import start_run

    losses, counts = plain_losses(tiny_chat_model, unlike)
    assert counts.tolist() == [2, 51, 6 + 14, 3]  # letters of the answers and an end each
    expected = float((losses * counts).sum() / counts.sum())
    for micro_batch in (4, 1):
        run = start_run(unlike.model_dump(mode="json") | {"micro_batch": micro_batch})
        found = run.validate()
        assert found["val_loss"] == pytest.approx(expected, rel=1e-5)
        assert found["val_perplexity"] == pytest.approx(np.exp(expected), rel=1e-4)


def test_every_learned_token_of_a_step_counts_the_same_in_any_micro_batches(
    unlike: TrainConfig, tiny_chat_model: Path
) -> None:
    from training.loop.worker import start_run

    losses, counts = plain_losses(tiny_chat_model, unlike)
    found = {}
    for micro_batch in (4, 2, 1):
        run = start_run(unlike.model_dump(mode="json") | {"micro_batch": micro_batch})
        # Each step takes all four, in whatever micro-batches.
        run.order.sorted_window = 0
        run.order.sorted_batches = np.tile(np.arange(4), (6, 1)), np.zeros((6, 4), dtype=int)
        found[micro_batch] = []
        for step in range(6):
            run.take_step(step)
            found[micro_batch].append(run.loss)
    assert found[4][0] == pytest.approx((losses * counts).sum() / counts.sum(), rel=1e-5)
    assert abs(found[4][0] - losses.mean()) > 0.01, (
        "a mean over conversations must differ for this to mean anything"
    )
    np.testing.assert_allclose(found[2], found[4], rtol=1e-4)
    np.testing.assert_allclose(found[1], found[4], rtol=1e-4)


def test_gradient_checkpointing_changes_no_loss(unlike: TrainConfig) -> None:
    from training.loop.worker import start_run

    losses = []
    for checkpointing in (False, True):
        run = start_run(unlike.model_dump(mode="json") | {"gradient_checkpointing": checkpointing})
        for step in range(3):
            run.take_step(step)
        losses.append(run.validate()["val_loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_vocabulary_head_sees_the_positions_before_learned_tokens_alone(
    unlike: TrainConfig,
) -> None:
    from training.loop.worker import start_run

    run = start_run(unlike.model_dump(mode="json"))
    seen = []
    head = run.engine.module.decoder.get_output_embeddings()
    head.register_forward_hook(
        lambda _, inputs, logits: seen.append((inputs[0].shape, logits.shape))
    )
    run.task.shared = 0
    run.validate()
    assert seen == [((76, 64), (76, 259))]


def test_forward_passes_hold_conversations_of_similar_length(
    tiny_chat_model: Path, tmp_path: Path
) -> None:
    from training.loop.worker import start_run

    lengths = np.random.default_rng(0).integers(1, 120, 200)
    path = write_conversations(
        tmp_path / "c.jsonl", *(turns(f"{n}", "x" * length) for n, length in enumerate(lengths))
    )
    run = start_run(
        recipe(tiny_chat_model, path, tmp_path / "run", global_batch=8, micro_batch=4).model_dump(
            mode="json"
        )
    )
    assert isinstance(run.task, SftTask)
    padded = real = 0
    for step in range(16):
        sizes = np.array(
            [len(run.task.conversations[row].ids) for row in run.order.step(step)[0]]
        ).reshape(-1, 4)
        padded, real = padded + sizes.max(axis=1).sum() * 4, real + sizes.sum()
    assert 1 - real / padded < 0.12


def test_long_conversation_ends_the_run_before_its_first_step(unlike: TrainConfig) -> None:
    from training.loop.worker import start_run

    with pytest.raises(
        ValueError, match=r"max_tokens is 100, but .*unlike.jsonl, line 4 has 110 tokens"
    ):
        start_run(unlike.model_dump(mode="json") | {"max_tokens": 100})
    assert not (unlike.output / "progress.jsonl").exists()


def test_held_out_conversations_are_not_trained_on(tiny_chat_model: Path, tmp_path: Path) -> None:
    path = write_conversations(
        tmp_path / "c.jsonl", *(turns(f"question {n}", f"answer {n}") for n in range(100))
    )
    config = recipe(tiny_chat_model, path, tmp_path / "run", validation_conversations=None)
    task = SftTask(config)
    assert task.num_rows + task.num_validation_rows == 100
    trained, held_out = (
        {tuple(c.ids) for c in part} for part in (task.conversations, task.validation)
    )
    assert held_out and not trained & held_out
    assert SftTask(config.model_copy(update={"validation_rows": 2})).num_validation_rows == 2
