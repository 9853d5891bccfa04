"""DeepSpeed's configuration from typed fields."""

from training.recipe import SharedRecipe


def zero_config(
    config: SharedRecipe, num_steps: int, num_workers: int, *, bf16: bool
) -> dict[str, object]:
    """DeepSpeed's dictionary for a run of `num_steps` optimiser steps on `num_workers` workers."""
    optimizer = config.optimizer
    zero: dict[str, object] = {"stage": config.zero.stage}
    if config.zero.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if config.zero.offload_parameters:
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    if config.zero.stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "train_batch_size": config.global_batch,
        "train_micro_batch_size_per_gpu": config.micro_batch,
        "gradient_accumulation_steps": config.accumulation(num_workers),
        "gradient_clipping": optimizer.clip_norm,
        "bf16": {"enabled": bf16},
        "zero_optimization": zero,
        "optimizer": {
            "type": "AdamW",
            "params": {
                "torch_adam": config.device == "cpu",
                "lr": optimizer.learning_rate,
                "betas": list(optimizer.betas),
                "weight_decay": optimizer.weight_decay,
            },
        },
        "scheduler": {
            "type": "WarmupCosineLR",
            "params": {
                "total_num_steps": num_steps,
                "warmup_num_steps": max(2, round(optimizer.warmup_share * num_steps)),
                "warmup_type": "linear",
                "cos_min_ratio": optimizer.final_share,
            },
        },
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 10**9,
        "wall_clock_breakdown": False,
    }
