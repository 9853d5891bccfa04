"""Whether a recipe's base model can be trained; seen from headers, before any worker starts."""

from training.tasks.recipes.rerank import RerankRecipe
from training.tasks.recipes.sft import SftRecipe
from training.tasks.recipes.text import TextRecipe
from training.tasks.recipes.union import TrainConfig


def check_base_model(config: TrainConfig) -> None:
    """ValueError where the base model is not whole, is no causal decoder, or does not fit itself or the recipe."""
    if config.base_model is None:
        return
    from lifecycle.llama.base_model.loading import check_loading, check_settings

    check_loading(config.base_model, with_head=isinstance(config, SftRecipe | RerankRecipe))
    if isinstance(config, TextRecipe | SftRecipe | RerankRecipe):
        from training.tasks.lengths import check_longest

        check_settings(config.decoder, config.lora)
        check_longest(config)
