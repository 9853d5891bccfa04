"""Trained weights and optimiser state as whole tensors, whatever DeepSpeed shards them by.

So a run may go on with another number of workers or another ZeRO stage, and nothing has to be
unpickled. Meant for adapters and small models: every tensor passes through every worker.

DeepSpeed's own `safe_get_full_*` and `safe_set_full_*` (0.19) do not do it: they give nothing under
stage 0, find no moments of its Adam under stage 1, and cannot fill a share that is padded.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed
from deepspeed.runtime.engine import DeepSpeedEngine
from deepspeed.runtime.fp16.unfused_optimizer import FP16_UnfusedOptimizer
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")  # Adam's
SEPARATOR = "/"  # between the name of a moment and that of a parameter; not in names of parameters


@dataclass(frozen=True)
class Piece:
    """This worker's share of a parameter: `length` elements from `start` of a float32 tensor of the optimiser's."""

    flat: Tensor
    start: int
    length: int
    place: int  # of the share in the flattened parameter


def gather_state(engine: DeepSpeedEngine) -> dict[str, Tensor]:
    """float32 weights by name and their moments by `moment/name`, on the CPU; collective, and empty but on rank 0."""
    state = {}
    is_sharded = engine.zero_optimization_stage() > 0
    is_first = torch.distributed.get_rank() == 0
    for name, parameter in _trained(engine.module):
        piece = _piece(engine, parameter)
        for moment in (None, *MOMENTS):
            whole = torch.zeros(
                _shape(parameter).numel(), dtype=torch.float32, device=engine.device
            )
            if piece is not None:
                whole[piece.place : piece.place + piece.length] = _values(engine, piece, moment)
            if is_sharded:
                torch.distributed.all_reduce(whole)
            if is_first:
                state[_key(moment, name)] = whole.view(_shape(parameter)).cpu()
    return state


def load_weights(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Put gathered weights into a model that DeepSpeed has not seen yet, in the model's dtype."""
    with torch.no_grad():
        for name, parameter in _trained(model):
            parameter.copy_(state[name])


def scatter_state(engine: DeepSpeedEngine, state: dict[str, Tensor], step: int) -> None:
    """Give the optimiser its share of gathered float32 weights and moments, and schedule and optimiser their step.

    The engine must have been made from a model with these weights, and not have taken a step.
    """
    optimizer = _inner(engine)
    for name, parameter in _trained(engine.module):
        piece = _piece(engine, parameter)
        if piece is None:
            continue
        _make_moments(optimizer, piece.flat, step)
        for moment in (None, *MOMENTS):
            values = state[_key(moment, name)].view(-1)[piece.place : piece.place + piece.length]
            _values(engine, piece, moment).copy_(values)
    if not isinstance(optimizer, torch.optim.Adam):  # DeepSpeed's count by group
        for group in optimizer.param_groups:
            group["step"] = step
    engine.lr_scheduler.step(step - 1)  # counted from 0
    engine.global_steps = step


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return (
        (name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad
    )


def _key(moment: str | None, name: str) -> str:
    return name if moment is None else moment + SEPARATOR + name


def _shape(parameter: nn.Parameter) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)


def _inner(engine: DeepSpeedEngine) -> torch.optim.Optimizer:
    """The Adam below DeepSpeed's wrapper."""
    optimizer: torch.optim.Optimizer = getattr(engine.optimizer, "optimizer", engine.optimizer)
    return optimizer


def _piece(engine: DeepSpeedEngine, parameter: nn.Parameter) -> Piece | None:
    """Where DeepSpeed keeps this worker's share of a parameter; None where other workers have all of it."""
    optimizer = engine.optimizer
    stage = engine.zero_optimization_stage()
    if stage == 3:
        group, start, size = optimizer.grad_position[optimizer.get_param_id(parameter)]
        place = size * torch.distributed.get_rank()
        length = min(size, _shape(parameter).numel() - place)  # the last share is padded
        return (
            Piece(optimizer.fp32_partitioned_groups_flat[group], start, length, place)
            if length > 0
            else None
        )
    if stage:
        mapping = parameter._hp_mapping  # type: ignore[attr-defined]
        if mapping is None:
            return None
        flat = optimizer.single_partition_of_fp32_groups[mapping.param_group_index]
        here = mapping.hp_fragment_address
        return Piece(flat, here.start, here.numel, mapping.lp_fragment_address.start)
    return Piece(_master(engine, parameter), 0, parameter.numel(), 0)


def _master(engine: DeepSpeedEngine, parameter: nn.Parameter) -> Tensor:
    """The tensor that is optimised in place of a parameter that is not sharded."""
    optimizer = engine.optimizer
    if not isinstance(optimizer, FP16_UnfusedOptimizer):
        return parameter
    for group, masters in zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True):
        for candidate, master in zip(group, masters, strict=True):
            if candidate is parameter:
                return master  # type: ignore[no-any-return]
    raise AssertionError("DeepSpeed does not optimise a parameter that is trained")


def _values(engine: DeepSpeedEngine, piece: Piece, moment: str | None) -> Tensor:
    """View of a share of the weights or of one of their moments."""
    whole = piece.flat.detach() if moment is None else _inner(engine).state[piece.flat][moment]
    return whole.view(-1)[piece.start : piece.start + piece.length]


def _make_moments(optimizer: torch.optim.Optimizer, flat: Tensor, step: int) -> None:
    """What Adam makes at its first step; its count of steps is a tensor in torch's, a number in DeepSpeed's."""
    state = optimizer.state[flat]
    for moment in MOMENTS:
        if moment not in state:
            state[moment] = torch.zeros_like(flat, requires_grad=False)
    state["step"] = torch.tensor(float(step)) if isinstance(optimizer, torch.optim.Adam) else step
