"""What recipes say of a pretrained decoder that reads text."""

from typing import Literal

from pydantic import Field, model_validator

from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings
from training.recipe import OptimizerSettings, SharedRecipe


class DecoderRecipe(SharedRecipe):
    """The keys of all recipes that fine-tune a decoder."""

    encoder: Literal["text"] = "text"
    base_model: str  # a folder with a Hugging Face decoder
    lora: LoraSettings | None = LoraSettings()  # null fine-tunes all weights
    max_tokens: int = Field(160, ge=8)
    # auto: what is fastest on the device.
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = "auto"
    gradient_checkpointing: bool = False

    @property
    def decoder(self) -> DecoderSettings:
        """Which decoder reads the text, and how."""
        return DecoderSettings(self.base_model, None, self.attention, self.max_tokens, self.device)

    @property
    def gathered_checkpoints(self) -> bool:
        """Adapters are small; whole weights stay in shards."""
        return self.lora is not None

    @model_validator(mode="after")
    def _flash_attention_needs_a_gpu(self) -> "DecoderRecipe":
        if self.attention == "flash_attention_2" and (self.device == "cpu" or self.dtype == "fp32"):
            raise ValueError(
                f"attention is flash_attention_2 with device {self.device} and dtype {self.dtype}; "
                "it needs device gpu and dtype bf16 or auto"
            )
        return self

    @model_validator(mode="after")
    def _language_models_have_no_head(self) -> "DecoderRecipe":
        given = self.optimizer.head_learning_rate
        if self.task != "value" and given != OptimizerSettings().head_learning_rate:
            raise ValueError(
                f"task {self.task} does not use optimizer.head_learning_rate; leave that out of the recipe"
            )
        return self
