"""A LLaMA of its own, from scratch, that reads vectors in place of tokens."""

from transformers import LlamaConfig, LlamaModel

from lifecycle.features.baskets import NextItemSettings
from lifecycle.features.sequence import SequenceSettings


def small_decoder(
    settings: SequenceSettings | NextItemSettings,
    max_positions: int,
    *,
    attention_dropout: float = 0.0,
) -> LlamaModel:
    """With random weights."""
    decoder = LlamaModel(
        LlamaConfig(
            vocab_size=1,
            hidden_size=settings.hidden_size,
            intermediate_size=8 * settings.hidden_size // 3,
            num_hidden_layers=settings.num_layers,
            num_attention_heads=settings.num_heads,
            num_key_value_heads=settings.num_heads,
            max_position_embeddings=max_positions,
            attention_dropout=attention_dropout,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    decoder.embed_tokens = None  # events and items come as vectors
    return decoder
