"""Memory of a worker under each ZeRO stage, against hand-worked bytes."""

from pathlib import Path

import pytest

from tests.training.plan.published import (
    LLAMA31_8B,
    LLAMA32_1B,
    recipe,
)
from training.plan.memory import GIB, smallest_numbers, stage_memory
from training.plan.worker import ModelSizes


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
