"""The member that task sft leaves: it answers as taught, and loads without us."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from lifecycle.folders import MANIFEST
from lifecycle.llama.language_model import load_language_model
from lifecycle.llama.member import read_member
from lifecycle.llama.predict import load_member
from tests.builders import TinyShop, turns, write_conversations
from tests.training.tasks.sft_runs import TAUGHT, recipe
from training.evaluate.inputs import read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.run.job import train
from training.tasks.recipes.union import TrainConfig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("deepspeed_environment")]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of what is taught."""
    return write_conversations(
        tmp_path_factory.mktemp("taught") / "c.jsonl", *(turns(*pair) for pair in TAUGHT.items())
    )


@pytest.fixture(scope="module")
def trained(
    taught: Path, tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainConfig:
    """The recipe of an adapter after its run."""
    config = recipe(tiny_chat_model, taught, tmp_path_factory.mktemp("run") / "sentiment")
    train(config)
    return config


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
        ValueError, match="config or other inputs: content of conversations was .* and is "
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
