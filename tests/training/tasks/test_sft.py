"""Teaching a language model inside one process: its loss, its validation, and the member that generates."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, LlamaConfig, MistralConfig

from lifecycle.folders import MANIFEST
from lifecycle.llama.language_model import TaughtLanguageModel, load_language_model
from lifecycle.llama.member import read_member
from lifecycle.llama.predict import load_member
from lifecycle.llama.shared_prefix import can_share
from tests.builders import TinyShop, kept_process_state, turns, write_conversations
from training.evaluate.inputs import read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.loop.deepspeed_op import prepare_deepspeed
from training.run.job import train
from training.tasks.assistant_tokens import EncodedConversation
from training.tasks.recipes.union import TrainConfig, parse_recipe
from training.tasks.sft import SftTask, shared_tokens

TAUGHT = {
    "I love it": "positive",
    "It broke at once": "negative",
    "May I send it back?": "Within 30 days.",
}
UNLIKE = [
    turns("short", "x"),
    turns("a somewhat longer question", "an answer of many more tokens than the others have"),
    turns("two", "turns", "of", "the assistant"),
    turns("long question, short answer; " * 3, "no"),
]
ALL_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module", autouse=True)
def deepspeed_environment() -> Iterator[None]:
    """What a worker's shim does before it imports the loop; one thread, as a worker has."""
    threads = torch.get_num_threads()
    with kept_process_state():
        prepare_deepspeed("cpu")
        yield
    torch.set_num_threads(threads)


def recipe(base_model: Path, conversations: Path, output: Path, **changes: object) -> TrainConfig:
    """Teaches the tiny model; what it is validated on is what it is taught."""
    tree = {
        "task": "sft", "adapter": "sentiment", "conversations": conversations, "base_model": str(base_model),
        "validation_conversations": conversations, "lora": {"rank": 16, "alpha": 32, "targets": ALL_LAYERS},
        "optimizer": {"learning_rate": 3e-3}, "dtype": "fp32", "attention": "eager", "global_batch": 3,
        "micro_batch": 3, "epochs": 300, "checkpoint_every_steps": 100, "num_workers": 0, "tracking": None,
        "output": output,
    }  # fmt: skip
    return parse_recipe(tree | changes)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of what is taught."""
    return write_conversations(
        tmp_path_factory.mktemp("taught") / "c.jsonl", *(turns(*pair) for pair in TAUGHT.items())
    )


@pytest.fixture
def unlike(tmp_path: Path, tiny_chat_model: Path) -> TrainConfig:
    """A recipe of four conversations whose answers differ in length, all in one step."""
    path = write_conversations(tmp_path / "unlike.jsonl", *UNLIKE)
    return recipe(tiny_chat_model, path, tmp_path, global_batch=4, micro_batch=4, epochs=6)


@pytest.fixture(scope="module")
def trained(
    taught: Path, tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainConfig:
    """The recipe of an adapter after its run."""
    config = recipe(tiny_chat_model, taught, tmp_path_factory.mktemp("run") / "sentiment")
    train(config)
    return config


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


def answers(model: torch.nn.Module, tokenizer: object) -> list[str]:
    """What a model says to the taught questions, greedily, all in one padded batch."""
    prompts = [turns(question) for question in TAUGHT]
    batch = tokenizer.apply_chat_template(  # type: ignore[attr-defined]
        prompts, add_generation_prompt=True, return_dict=True, return_tensors="pt", padding=True
    )
    generated = model.generate(**batch, max_new_tokens=24, do_sample=False)  # type: ignore[operator]
    return tokenizer.batch_decode(
        generated[:, batch["input_ids"].shape[1] :], skip_special_tokens=True
    )  # type: ignore


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


def test_adapter_learns_to_answer_as_taught(trained: TrainConfig, tiny_chat_model: Path) -> None:
    lines = [
        json.loads(line) for line in (trained.output / "progress.jsonl").read_text().splitlines()
    ]
    losses = [line["val_loss"] for line in lines if "val_loss" in line]
    assert len(losses) == 3 and losses[-1] < 0.2 < losses[0] < lines[0]["loss"]
    model, tokenizer = load_language_model(trained.output / "member", torch.float32)
    assert answers(model, tokenizer) == list(TAUGHT.values())
    untrained = AutoModelForCausalLM.from_pretrained(tiny_chat_model, dtype=torch.float32)
    assert not set(answers(untrained, tokenizer)) & set(TAUGHT.values())


def test_member_loads_with_plain_peft(trained: TrainConfig, tiny_chat_model: Path) -> None:
    member = trained.output / "member"
    base = AutoModelForCausalLM.from_pretrained(tiny_chat_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(member, padding_side="left")
    assert answers(PeftModel.from_pretrained(base, member), tokenizer) == list(TAUGHT.values())
    assert json.loads((member / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"


def test_member_says_what_it_was_made_from_and_not_where(
    trained: TrainConfig, tiny_chat_model: Path
) -> None:
    manifest = read_member(trained.output / "member", "sft")
    assert (manifest.task, manifest.adapter, manifest.name) == (
        "sft",
        "sentiment",
        "text_llama_sentiment",
    )
    assert manifest.base_model is not None and manifest.base_model.path == str(tiny_chat_model)
    text = (trained.output / "member" / MANIFEST).read_text()
    assert str(trained.conversations) not in text and str(trained.output) not in text
    assert "love" not in text
    assert set(manifest.metrics) == {"val_loss", "val_perplexity"}
    assert {path.suffix for path in (trained.output / "member").iterdir()} == {
        ".json",
        ".jinja",
        ".safetensors",
    }


def test_second_call_leaves_a_complete_run_as_it_is_and_other_conversations_are_refused(
    trained: TrainConfig, taught: Path, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.output.rglob("*") if path.is_file()}
    moved = Path(shutil.copy(taught, tmp_path / "elsewhere.jsonl"))
    train(trained.model_copy(update={"conversations": moved, "validation_conversations": moved}))
    assert {
        path: path.stat().st_mtime_ns for path in trained.output.rglob("*") if path.is_file()
    } == before
    moved.open("a").write(json.dumps({"messages": turns("one", "more")}) + "\n")
    with pytest.raises(
        ValueError, match="is complete and was made from another config or other inputs"
    ):
        train(trained.model_copy(update={"conversations": moved}))


def test_taught_member_is_refused_where_values_are_predicted(
    trained: TrainConfig, tiny_shop: TinyShop, tmp_path: Path
) -> None:
    member = trained.output / "member"
    message = f"member {member} was trained for task sft; task value is needed here"
    with pytest.raises(ValueError, match=message):
        load_member(member, pl.DataFrame())
    arena = {"data": tiny_shop.data, "examples": tiny_shop.examples, "output": tmp_path / "arena"}
    with pytest.raises(ValueError, match=message):
        read_inputs(EvaluateConfig.model_validate(arena | {"members": {"text_llama": member}}))


@pytest.mark.parametrize("stage", [0, 3])
def test_all_weights_can_be_taught_and_load_with_plain_transformers(
    taught: Path, tiny_chat_model: Path, tmp_path: Path, stage: int
) -> None:
    changes = {"lora": None, "optimizer": {"learning_rate": 2e-3}, "zero": {"stage": stage}}
    config = recipe(tiny_chat_model, taught, tmp_path / "run", **changes)
    train(config)
    member = config.output / "member"
    model = AutoModelForCausalLM.from_pretrained(member, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(member, padding_side="left")
    assert (
        answers(model, tokenizer)
        == answers(*load_language_model(member, torch.float32))
        == list(TAUGHT.values())
    )


def test_mistakes_are_found_before_anything_is_written(
    taught: Path, tiny_base_model: Path, tiny_chat_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    broken = write_conversations(tmp_path / "broken.jsonl", turns("a", "b"), turns("c"))
    for changes, message in (
        ({"base_model": str(tiny_base_model)}, "tiny-llama' has no chat template"),
        ({"conversations": broken}, "broken.jsonl, line 2 has no assistant turn"),
        ({"validation_conversations": broken}, "broken.jsonl, line 2 has no assistant turn"),
        ({"conversations": tmp_path / "none"}, "no such file"),
        ({"global_batch": 3000}, "global_batch is 3000, but the run has only 3 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            train(recipe(tiny_chat_model, taught, output).model_copy(update=changes))
        assert not output.exists()
