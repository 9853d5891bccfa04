"""Language models that were taught conversations: the whole decoder with its vocabulary head, trained and served."""

from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils import logging as transformers_logging

from lifecycle.llama.decoder import (
    architecture,
    attention_of,
    check_finite,
    load_tokenizer,
    save_decoder,
    with_lora,
)
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings, decoder_of, read_member
from lifecycle.llama.shared_prefix import repeated


class TaughtLanguageModel(nn.Module):
    """Right-padded conversations to the loss of each token that is to be learned."""

    def __init__(self, decoder: PreTrainedModel | PeftModel) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, learned: Tensor, shared: int = 0
    ) -> Tensor:
        """Cross-entropy in nats of the k learned tokens in the order of rows, shape (k,), float32.

        All tensors have the shape (n, tokens). `learned` is boolean and False at the first token;
        the first `shared` tokens are the same in all rows, the one after them is not learned, and
        they are read once.
        """
        before = learned.roll(-1, dims=1)
        prefix = None
        if shared:
            alone = self._decode(
                before[:1, :shared], input_ids=input_ids[:1, :shared], use_cache=True
            )
            prefix = repeated(alone.past_key_values, len(input_ids))
        rest = self._decode(
            before[:, shared:],
            input_ids=input_ids[:, shared:],
            attention_mask=attention_mask,
            past_key_values=prefix,
            use_cache=prefix is not None,
        )
        return nn.functional.cross_entropy(
            rest.logits.float(), input_ids[learned], reduction="none"
        )

    def _decode(self, wanted: Tensor, **inputs: object) -> CausalLMOutputWithPast:
        """The decoder's output, with logits (k, vocabulary) of the k `wanted` positions alone.

        Of a whole batch the logits would be by far the largest tensor.
        """
        head = self.decoder.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, hidden: (hidden[0][wanted],))
        try:
            return self.decoder(**inputs)
        finally:
            hook.remove()


def load_causal_model(
    folder: str | Path, attention: str, dtype: torch.dtype, config: PreTrainedConfig | None = None
) -> PreTrainedModel:
    """A language model with its vocabulary head; `config` comes before the folder's own.

    Raises ValueError where a weight is not finite.
    """
    transformers_logging.disable_progress_bar()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=dtype, attn_implementation=attention
    )
    check_finite(model, folder)
    return model


def new_language_model(
    settings: DecoderSettings, lora: LoraSettings | None, dtype: torch.dtype
) -> TaughtLanguageModel:
    """A base model ready to be taught; all weights are trainable where `lora` is None."""
    attention = attention_of(settings, dtype)
    decoder = load_causal_model(settings.base_model, attention, dtype, architecture(settings))
    return TaughtLanguageModel(
        decoder if lora is None else with_lora(decoder, lora, task_type="CAUSAL_LM")
    )


def save_language_model(
    model: TaughtLanguageModel,
    state: dict[str, Tensor],
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
) -> None:
    """Write adapter (or all weights) and tokenizer; `state` has the trained weights by name.

    The tokenizer is kept because its chat template decides what the weights understand.
    """
    save_decoder(model.decoder, state, folder)
    tokenizer.save_pretrained(folder)


def load_language_model(
    member: Path, dtype: torch.dtype, task: str = "sft"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A member of task sft or rerank ready to generate, its adapter merged, and its tokenizer, which pads on the left.

    Raises ValueError for a member that is damaged or of another task.
    """
    settings = decoder_of(read_member(member, task))
    if (member / "adapter_config.json").exists():
        base = load_causal_model(settings.base_model, attention_of(settings, dtype), dtype)
        model = PeftModel.from_pretrained(
            base, member, autocast_adapter_dtype=False
        ).merge_and_unload()
    else:
        model = load_causal_model(member, attention_of(settings, dtype), dtype)
    tokenizer = load_tokenizer(member)
    tokenizer.padding_side = "left"
    return model.eval(), tokenizer
