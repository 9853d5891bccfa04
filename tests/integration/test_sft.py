"""Language adapters with real Ray Train, DeepSpeed and two workers: they learn what one process learns."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lifecycle.llama.member import read_member
from tests.builders import turns, write_conversations
from tests.integration.runs import finish, start, wait_for_step, worker_processes

pytestmark = [pytest.mark.integration, pytest.mark.alone, pytest.mark.thorough]
TAUGHT = {
    "I love it": "positive",
    "It broke at once": "negative",
    "It came on Monday": "neutral",
    "Refund?": "30 days",
}
LONG_STEPS = 240
ALL_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a cluster that all tests here share; it belongs to this process."""
    ray.init(num_cpus=5, include_dashboard=True, log_to_driver=False)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="module")
def recipe(tiny_chat_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training recipe; every run gives its own output."""
    folder = tmp_path_factory.mktemp("recipe")
    conversations = write_conversations(
        folder / "conversations.jsonl", *(turns(*pair) for pair in TAUGHT.items())
    )
    fields = {
        "task": "sft",
        "adapter": "sentiment",
        "conversations": str(conversations),
        "validation_conversations": str(conversations),
        "base_model": str(tiny_chat_model),
        "lora": {"rank": 16, "alpha": 32, "targets": ALL_LAYERS},
        "optimizer": {"learning_rate": 3e-3},
        "dtype": "fp32",
        "attention": "eager",
        "zero": {"stage": 2},
        "global_batch": 8,
        "micro_batch": 2,
        "epochs": 1000,
        "max_steps": LONG_STEPS,
        "checkpoint_every_steps": 20,
        "num_workers": 2,
        "tracking": None,
        "output": "given",
    }
    (folder / "sft.yaml").write_text(yaml.safe_dump(fields))
    return folder / "sft.yaml"


@pytest.fixture(scope="module")
def alone(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of eight steps by one process without a cluster."""
    output = tmp_path_factory.mktemp("alone") / "run"
    finish(start(recipe, None, "num_workers=0", "max_steps=8", f"output={output}"))
    return output


def validation_losses(output: Path) -> list[float]:
    """The validation loss at every checkpoint."""
    lines = [json.loads(line) for line in (output / "progress.jsonl").read_text().splitlines()]
    return [line["val_loss"] for line in lines if "val_loss" in line]


def test_two_workers_under_zero_stages_2_and_3_equal_one_process(
    cluster: str, recipe: Path, alone: Path, tmp_path: Path
) -> None:
    expected = read_member(alone / "member", "sft")
    weights = load_file(alone / "member" / "adapter_model.safetensors")
    runs = {
        s: start(recipe, cluster, f"zero.stage={s}", "max_steps=8", f"output={tmp_path / str(s)}")
        for s in (2, 3)
    }
    for stage, process in runs.items():
        assert "step 8/8, loss" in finish(process)
        found = read_member(tmp_path / str(stage) / "member", "sft")
        assert found.metrics == pytest.approx(expected.metrics, rel=1e-3)
        trained = load_file(tmp_path / str(stage) / "member" / "adapter_model.safetensors")
        torch.testing.assert_close(trained, weights, rtol=1e-3, atol=1e-3)


def test_killed_worker_is_replaced_and_the_adapter_answers_as_taught_in_plain_peft(
    cluster: str, recipe: Path, tiny_chat_model: Path, tmp_path: Path
) -> None:
    process = start(recipe, cluster, f"output={tmp_path}")
    wait_for_step(tmp_path, 60)
    worker_processes()[1].send_signal(signal.SIGKILL)
    log = finish(process)
    assert len(re.findall(r"resumed at step \d+", log)) == 1
    assert not [answer for answer in (*TAUGHT, *TAUGHT.values()) if answer in log]
    losses = validation_losses(tmp_path)
    assert losses[-1] < 0.2 < 2 < losses[0]
    base = AutoModelForCausalLM.from_pretrained(tiny_chat_model, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, tmp_path / "member")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "member")
    for question, answer in TAUGHT.items():
        prompt = tokenizer.apply_chat_template(
            turns(question), add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        said = model.generate(**prompt, max_new_tokens=20, do_sample=False)[
            0, prompt["input_ids"].shape[1] :
        ]
        assert tokenizer.decode(said) == f"{answer}</s>"


def test_mistakes_end_the_run_in_one_line_without_a_word_of_the_conversation(
    cluster: str, recipe: Path, tmp_path: Path
) -> None:
    broken = write_conversations(tmp_path / "broken.jsonl", turns("my card is 4111", " "))
    log = finish(
        start(recipe, cluster, f"conversations={broken}", f"output={tmp_path / 'run'}"), status=1
    )
    assert re.search(
        r"^training.run: \S+broken.jsonl, line 1, message 2 has no content", log, re.MULTILINE
    )
    assert "4111" not in log and not (tmp_path / "run").exists()
    long = write_conversations(
        tmp_path / "long.jsonl", turns("hello", "hi"), turns("my card is 4111", "ok" * 200)
    )
    log = finish(
        start(recipe, cluster, f"conversations={long}", f"output={tmp_path / 'run'}"), status=1
    )
    assert re.search(
        r"^training.run: max_tokens is 160, but \S+long.jsonl, line 2 has \d+ tokens$",
        log,
        re.MULTILINE,
    )
    assert "4111" not in log and not (tmp_path / "run" / "progress.jsonl").exists()
