"""The plan of a recipe against published parameter counts, the ZeRO paper's table and a count by hand."""

import json
from pathlib import Path

import pytest

from tests.builders import REPOSITORY
from training.plan.job import make_plan, show_plan
from training.plan.memory import GIB, smallest_numbers, stage_memory
from training.plan.meta_model import measure_model
from training.plan.table import table
from training.plan.worker import ModelSizes
from training.tasks.recipes.union import TrainConfig, load_recipe, parse_recipe

LLAMA32_1B = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 128256, "hidden_size": 2048,
    "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
    "head_dim": 64, "tie_word_embeddings": True, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
    "max_position_embeddings": 131072, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                     "original_max_position_embeddings": 8192, "rope_type": "llama3"},
}  # fmt: skip
LLAMA31_8B = LLAMA32_1B | {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "head_dim": 128,
    "tie_word_embeddings": False,
}  # fmt: skip
LLAMA32_1B_PARAMETERS = (
    1_235_814_400  # of the published checkpoint; its language-model head is the embedding
)
LLAMA31_8B_PARAMETERS = 8_030_261_248  # of the published checkpoint, language-model head included


def recipe(folder: Path, architecture: dict[str, object], **changes: object) -> TrainConfig:
    (folder / "config.json").write_text(json.dumps(architecture))
    tree = {
        "data": "d",
        "examples": "e",
        "output": "o",
        "base_model": str(folder),
        "lora": None,
        "dtype": "bf16",
    }
    return parse_recipe(tree | {"attention": "sdpa"} | changes)


def test_llama32_1b_has_its_published_parameters(tmp_path: Path) -> None:
    sizes = measure_model(recipe(tmp_path, LLAMA32_1B))
    assert sizes.decoder_parameters == LLAMA32_1B_PARAMETERS
    assert sizes.head_parameters == 3 * 2048 + 3
    assert sizes.adapter_parameters == 0
    assert sizes.trainable_parameters == LLAMA32_1B_PARAMETERS + 3 * 2048 + 3


def test_llama31_8b_has_its_published_parameters_without_the_language_model_head(
    tmp_path: Path,
) -> None:
    sizes = measure_model(recipe(tmp_path, LLAMA31_8B))
    assert sizes.decoder_parameters == LLAMA31_8B_PARAMETERS - 128256 * 4096


def test_adapters_are_counted_by_hand(tmp_path: Path) -> None:
    lora = {"rank": 8, "alpha": 8, "targets": ["q_proj", "v_proj", "down_proj"], "num_layers": 4}
    sizes = measure_model(recipe(tmp_path, LLAMA32_1B, lora=lora))
    by_hand = 4 * 8 * ((2048 + 2048) + (2048 + 512) + (8192 + 2048))
    assert sizes.adapter_parameters == by_hand
    assert sizes.trainable_parameters == by_hand + 3 * 2048 + 3


def test_activations_are_counted_by_hand(tmp_path: Path) -> None:
    hidden, key_value, intermediate, layers, prompts, tokens = 2048, 512, 8192, 16, 4, 100
    # bf16: two norms' outputs before and after their weights, attention's output, query, key, value, and gate, up,
    # activated gate and their product of the MLP; float32: the norms' inputs and their scales.
    per_token = 2 * (4 * hidden + hidden + hidden + 2 * key_value + 4 * intermediate) + 2 * (
        4 * hidden + 4
    )
    sizes = measure_model(
        recipe(tmp_path, LLAMA32_1B, micro_batch=prompts, max_tokens=tokens, global_batch=8)
    )
    assert sizes.activation_bytes == pytest.approx(prompts * tokens * layers * per_token, rel=0.02)


def test_eager_attention_keeps_its_score_matrices(tmp_path: Path) -> None:
    settings = {"micro_batch": 4, "global_batch": 8, "max_tokens": 100}
    fused = measure_model(recipe(tmp_path, LLAMA32_1B, **settings)).activation_bytes
    eager = measure_model(
        recipe(tmp_path, LLAMA32_1B, attention="eager", **settings)
    ).activation_bytes
    scores = (
        16 * 4 * 32 * 100 * 100
    )  # layers x prompts x heads x tokens^2: softmax in float32, its bf16 copy
    assert eager - fused > scores * (4 + 2)
    for device, expected in (("cpu", eager), ("gpu", fused)):
        auto = recipe(tmp_path, LLAMA32_1B, attention="auto", device=device, **settings)
        assert measure_model(auto).activation_bytes == expected


def test_checkpointing_keeps_the_inputs_of_layers_and_one_layer(tmp_path: Path) -> None:
    settings = {"micro_batch": 4, "global_batch": 8, "max_tokens": 100}
    full = measure_model(recipe(tmp_path, LLAMA32_1B, **settings)).activation_bytes
    light = measure_model(
        recipe(tmp_path, LLAMA32_1B, gradient_checkpointing=True, **settings)
    ).activation_bytes
    assert light == 16 * 4 * 100 * 2048 * 2 + full // 16


def sizes_of(
    total: int, trained: int, activations: int = 0, weight_bytes: int = 2, largest: int = 0
) -> ModelSizes:
    """A model of any size, without building it."""
    return ModelSizes(total, 0, 0, trained, largest, weight_bytes, activations)


def test_states_agree_with_the_table_of_the_zero_paper(tmp_path: Path) -> None:
    # Figure 1 of arXiv 1910.02054: 7.5 billion parameters on 64 GPUs need 120, 31.4, 16.6 and 1.9 GB.
    config = recipe(
        tmp_path, LLAMA32_1B, num_workers=64, global_batch=512, micro_batch=8, device="gpu"
    )
    for stage, gigabytes in enumerate((120, 31.4, 16.6, 1.9)):
        memory = stage_memory(config, sizes_of(7_500_000_000, 7_500_000_000), stage, 64)
        states = (memory.weights + memory.gradients + memory.optimizer) * GIB / 1e9
        assert states == pytest.approx(gigabytes, abs=0.06)


def test_frozen_weights_cost_no_gradients_and_no_optimizer(tmp_path: Path) -> None:
    config = recipe(tmp_path, LLAMA32_1B, device="gpu", global_batch=8, num_workers=1)
    memory = stage_memory(config, sizes_of(10 * GIB, GIB, 30 * GIB), 0, 1)
    assert (memory.weights, memory.gradients, memory.optimizer, memory.activations) == (
        20,
        2,
        12,
        30,
    )
    assert (memory.peak, memory.peak_at) == (62, "forward")


def test_optimizer_step_needs_gradients_again_and_room_for_arithmetic(tmp_path: Path) -> None:
    """Bytes per weight, all trained, on one worker; where the weights lie flat the whole of them is updated at once."""
    by_hand = {
        # device, weight bytes, stage: weights + states + gradients + float32 gradients + AdamW's two temporary copies
        ("cpu", 4, 0): 4 + 8 + 4 + 0 + 8 / 10,  # a tenth of the weights is the largest tensor
        ("cpu", 2, 0): 2 + 12 + 2 + 4 + 8 / 10,
        ("cpu", 2, 1): 2 + 12 + 2 + 4 + 8,
        ("cpu", 2, 2): 2 + 12 + 2 + 4 + 8,
        ("cpu", 4, 2): 4 + 12 + 4 + 4 + 8,
        ("gpu", 2, 0): 2 + 12 + 2 + (4 + 4) + 0,
        ("gpu", 2, 2): 2 + 12 + 2 + (4 + 2) + 0,
        ("gpu", 4, 2): 4 + 12 + 4 + 4 + 0,
    }
    for (device, weight_bytes, stage), expected in by_hand.items():
        config = recipe(tmp_path, LLAMA32_1B, device=device, num_workers=1)
        memory = stage_memory(config, sizes_of(GIB, GIB, 0, weight_bytes, GIB // 10), stage, 1)
        assert memory.moments["step"] == pytest.approx(expected)


def test_gradients_of_passes_before_wait_beside_the_activations(tmp_path: Path) -> None:
    sizes = sizes_of(GIB, GIB, 5 * GIB)
    for stage, waiting in ((0, 2.0), (1, 2.0), (2, 2 / 4)):
        several, one = (
            stage_memory(
                recipe(tmp_path, LLAMA32_1B, num_workers=4, global_batch=batch), sizes, stage, 4
            )
            for batch in (64, 32)
        )
        assert several.moments["forward"] - one.moments["forward"] == pytest.approx(waiting)


def test_buckets_are_taken_whole_on_a_gpu_and_as_written_on_a_cpu(tmp_path: Path) -> None:
    bucket = 500_000_000  # weights: DeepSpeed's default
    adapters = sizes_of(GIB, 1_000_000, 0)
    for device, expected in (("gpu", bucket), ("cpu", 1_000_000)):
        config = recipe(tmp_path, LLAMA32_1B, device=device, num_workers=1, global_batch=8)
        memory = stage_memory(config, adapters, 2, 1)
        reducing = (
            2 * GIB + 12_000_000 + 2 * expected + 2_000_000
        )  # weights, states, bucket, and a copy to be sent
        assert memory.moments["reduce"] == pytest.approx(reducing / GIB)


def test_stage_three_gathers_weights_and_reads_them_whole_at_first(tmp_path: Path) -> None:
    config = recipe(
        tmp_path, LLAMA31_8B, zero={"stage": 3}, device="gpu", num_workers=16, global_batch=128
    )
    memory = stage_memory(config, sizes_of(16 * GIB, 16 * GIB, GIB), 3, 16)
    bucket, live, prefetched, sub_group = (2 * weights / GIB for weights in (5e8, 1e9, 5e7, 1e9))
    held = 2 + 2 + 12 + bucket
    assert memory.moments["start"] == pytest.approx(32 + 2)
    assert memory.moments["forward"] == pytest.approx(held + live + prefetched + 1)
    assert memory.moments["step"] == pytest.approx(held + 3 * sub_group)
    assert memory.moments["end"] == pytest.approx(
        held + 32
    )  # a member is written from whole weights
    assert memory.peak == memory.moments["end"]


def test_offloading_moves_memory_to_the_host(tmp_path: Path) -> None:
    zero = {"stage": 3, "offload_optimizer": True, "offload_parameters": True}
    config = recipe(
        tmp_path, LLAMA31_8B, zero=zero, num_workers=4, global_batch=32, micro_batch=8, device="gpu"
    )
    memory = stage_memory(config, sizes_of(8 * GIB, 8 * GIB), 3, 4)
    assert (memory.weights, memory.gradients, memory.optimizer) == (0, 0, 0)
    assert memory.host == 4 + 24 + 8 + 4  # weights, states, gradients in float32 and as they came


def test_smallest_numbers_divide_the_batch_and_are_the_first_that_fit(tmp_path: Path) -> None:
    config = recipe(
        tmp_path, LLAMA31_8B, device="gpu", global_batch=120, micro_batch=10, num_workers=1
    )
    sizes = sizes_of(7 * GIB, 7 * GIB)
    numbers = smallest_numbers(config, sizes)
    assert set(numbers) == {16, 24, 40, 48, 80, 141}
    for size, of_stages in numbers.items():
        for stage, found in enumerate(of_stages):
            fits = [
                n
                for n in (1, 2, 3, 4, 6, 12)
                if stage_memory(config, sizes, stage, n).peak <= 0.9 * size
            ]
            assert found == (fits[0] if fits else None)
    assert numbers[141][0] is None and numbers[141][2] is not None  # 24 x 7 GiB never fit whole


def test_plan_of_a_recipe_is_printed_as_table_and_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(recipe(tmp_path, LLAMA32_1B, zero={"stage": 1}, max_tokens=100, global_batch=64))
    *lines, last = capsys.readouterr().out.splitlines()
    plan = json.loads(last)
    assert plan["max_tokens_per_step"] == 6400
    assert [stage["stage"] for stage in plan["stages"]] == [0, 1, 2, 3]
    assert [line.split()[:4] for line in lines if line.startswith("  ZeRO") and "*" in line] == [
        ["ZeRO", "stage", "1", "*"]
    ]
    assert (plan["steps"], plan["times"], plan["expected_seconds"]) == (None, None, None)
    assert "steps: unknown, there are no examples in e yet" in lines
    assert "duration: unknown, there are no examples in e yet" in lines


def test_plan_of_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    config = recipe(tmp_path, LLAMA32_1B)
    with pytest.raises(ValueError, match="config.json"):
        make_plan(config.model_copy(update={"base_model": str(tmp_path / "elsewhere")}))


def test_plan_of_a_task_it_does_not_know_is_refused(tmp_path: Path) -> None:
    taught = {
        "task": "sft",
        "adapter": "copy",
        "conversations": "c.jsonl",
        "data": None,
        "examples": None,
    }
    with pytest.raises(ValueError, match="the plan knows task value alone: task is sft"):
        make_plan(recipe(tmp_path, LLAMA32_1B, **taught))


@pytest.mark.parametrize(
    ("file", "architecture", "size"),
    [("llama32_1b_lora_gpu.yaml", LLAMA32_1B, 24), ("llama31_8b_zero3_gpu.yaml", LLAMA31_8B, 40)],
)
def test_gpu_recipes_fit_the_gpus_they_are_meant_for(
    tmp_path: Path, file: str, architecture: dict[str, object], size: int
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(architecture))
    path = REPOSITORY / "training" / "configs" / file
    plan = make_plan(load_recipe(path, [f"base_model={tmp_path}"]))
    number = plan.gpus[size][plan.config.zero.stage]
    assert number is not None and number <= plan.config.num_workers
    assert plan.stages[plan.config.zero.stage].peak <= 0.9 * size
    assert "device is gpu" in table(plan) or "no examples" in table(plan)
