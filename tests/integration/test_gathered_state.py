"""Weights and optimiser state gathered from any number of workers under any ZeRO stage, and scattered to any other."""

import logging
import os
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.harness.ports import free_ports
from tests.builders import value_recipe
from training.loop.deepspeed_op import prepare_deepspeed
from training.loop.zero import zero_config

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
STAGES, DTYPES = (0, 1, 2, 3), (torch.float32, torch.bfloat16)
SAVED_AT, STEPS = 4, 8
Curves = dict[tuple[int, torch.dtype], list[float]]


def run(num_workers: int, folder: Path, *, resume: bool) -> Curves:
    """Losses by step under every stage and dtype, of workers without Ray; they save, or go on from what was saved."""
    arguments = (num_workers, *free_ports(1), folder, resume)
    torch.multiprocessing.spawn(worker, arguments, nprocs=num_workers)  # type: ignore[attr-defined]
    curves: Curves = torch.load(folder / "curves.pt")
    return curves


def worker(rank: int, num_workers: int, port: int, folder: Path, resume: bool) -> None:
    """One of the processes: trains a small model of unequal layers under every stage and dtype."""
    warnings.simplefilter("ignore")
    prepare_deepspeed("cpu")
    import deepspeed
    from deepspeed.runtime.fp16.unfused_optimizer import FP16_UnfusedOptimizer

    from training.loop.gathered_state import gather_state, load_weights, scatter_state

    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num_workers)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=num_workers)
    deepspeed.init_distributed("gloo", auto_mpi_discovery=False, verbose=False)
    curves = {}
    for stage, dtype in [(stage, dtype) for stage in STAGES for dtype in DTYPES]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3), nn.Linear(3, 1)).to(
            dtype
        )
        model[0].weight.requires_grad = False
        saved = folder / f"{stage}-{dtype}.safetensors"
        state = load_file(saved) if resume else None
        if state is not None:
            load_weights(model, state)
        rates = {"learning_rate": 3e-2, "weight_decay": 0.1}
        config = value_recipe(
            global_batch=8,
            micro_batch=4,
            num_workers=num_workers,
            zero={"stage": stage},
            optimizer=rates,
        )
        groups = [{"params": [model[0].bias, *model[2].parameters()], "lr": 3e-2}]
        groups += [{"params": list(model[3].parameters()), "lr": 1e-2}]
        settings = zero_config(config, 20, num_workers, bf16=dtype == torch.bfloat16)
        engine, optimizer, *_ = deepspeed.initialize(
            model=model, model_parameters=groups, config=settings
        )
        if isinstance(optimizer, FP16_UnfusedOptimizer):
            optimizer.optimizer.state.clear()
        if state is not None:
            scatter_state(engine, state, SAVED_AT)
        losses = []
        for step in range(SAVED_AT if resume else 0, STEPS):
            if step == SAVED_AT and not resume:
                gathered = gather_state(engine)
                assert bool(gathered) == (rank == 0)
                if rank == 0:
                    save_file(gathered, saved)
            losses.append(take_step(engine, step, rank, num_workers, dtype))
        curves[stage, dtype] = losses
    if rank == 0:
        torch.save(curves, folder / "curves.pt")
    torch.distributed.barrier()


def take_step(
    engine: nn.Module, step: int, rank: int, num_workers: int, dtype: torch.dtype
) -> float:
    """The mean loss of two micro-batches, which one or two workers share."""
    generator = torch.Generator().manual_seed(step)
    inputs, targets = (
        torch.randn(2, 4, 5, generator=generator),
        torch.randn(2, 4, 1, generator=generator),
    )
    total = torch.zeros(1)
    for rows, wanted in zip(inputs[rank::num_workers], targets[rank::num_workers], strict=True):
        loss = (engine(rows.to(dtype)).float() - wanted).pow(2).mean()
        engine.backward(loss)  # type: ignore[operator]
        engine.step()  # type: ignore[operator]
        total += loss.detach()
    torch.distributed.all_reduce(total)
    return float(total / 2)


def test_one_or_two_workers_go_on_exactly_where_two_were(tmp_path: Path) -> None:
    """The uninterrupted run is the yardstick; odd sizes leave shares of unequal length and padding."""
    curves = run(2, tmp_path, resume=False)
    for stage in STAGES:
        assert curves[stage, torch.float32] == pytest.approx(curves[0, torch.float32], rel=1e-5)
        assert curves[stage, torch.bfloat16] == pytest.approx(curves[0, torch.bfloat16], rel=5e-3)
    for num_workers in (1, 2):
        resumed = run(num_workers, tmp_path, resume=True)
        for key, losses in resumed.items():
            assert losses == pytest.approx(curves[key][SAVED_AT:], rel=1e-5), (num_workers, key)
