"""Language models that were taught conversations: the whole decoder with its vocabulary head, trained and served."""

from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from lifecycle.lora import LoraSettings
from lifecycle.member import DecoderSettings, decoder_of, read_member
from lifecycle.model import attention_of, load_tokenizer, save_decoder, with_lora


class TaughtLanguageModel(nn.Module):
    """Right-padded conversations to the loss of each token that is to be learned."""

    def __init__(self, decoder: PreTrainedModel | PeftModel) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor, learned: Tensor) -> Tensor:
        """Cross-entropy in nats of the k learned tokens in the order of rows, shape (k,), float32.

        All arguments have the shape (n, tokens); `learned` is boolean and False at the first token. The vocabulary
        head sees the k positions before those tokens alone: of a whole batch its logits would be by far the largest
        tensor.
        """
        before = learned.roll(-1, dims=1)
        head = self.decoder.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][before],))
        try:
            logits = self.decoder(input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits
        finally:
            hook.remove()
        return nn.functional.cross_entropy(logits.float(), input_ids[learned], reduction="none")


def load_causal_model(folder: str | Path, attention: str, dtype: torch.dtype) -> PreTrainedModel:
    """A language model with its vocabulary head."""
    transformers_logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention)


def new_language_model(settings: DecoderSettings, lora: LoraSettings | None, dtype: torch.dtype) -> TaughtLanguageModel:
    """A base model ready to be taught; all weights are trainable where `lora` is None."""
    decoder = load_causal_model(settings.base_model, attention_of(settings, dtype), dtype)
    return TaughtLanguageModel(decoder if lora is None else with_lora(decoder, lora, task_type="CAUSAL_LM"))


def save_language_model(
    model: TaughtLanguageModel, state: dict[str, Tensor], tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Write adapter (or all weights) and tokenizer; `state` has the trained weights by name.

    The tokenizer is kept because its chat template decides what the weights understand.
    """
    save_decoder(model.decoder, state, folder)
    tokenizer.save_pretrained(folder)


def load_language_model(member: Path, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A member of task sft ready to generate, its adapter merged, and its tokenizer, which pads on the left.

    Raises ValueError for a member that is damaged or of another task.
    """
    settings = decoder_of(read_member(member, "sft"))
    if (member / "adapter_config.json").exists():
        base = load_causal_model(settings.base_model, attention_of(settings, dtype), dtype)
        model = PeftModel.from_pretrained(base, member, autocast_adapter_dtype=False).merge_and_unload()
    else:
        model = load_causal_model(member, attention_of(settings, dtype), dtype)
    tokenizer = load_tokenizer(member)
    tokenizer.padding_side = "left"
    return model.eval(), tokenizer
