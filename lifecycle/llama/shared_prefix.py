"""Texts that begin alike: a decoder reads what they share once, in training as in scoring."""

import copy

from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import DynamicLayer


def can_share(config: PreTrainedConfig) -> bool:
    """Whether every layer of the decoder keeps all keys and values, so that one prefix can serve many texts."""
    layers = DynamicCache(config=config).layers
    return all(type(layer) is DynamicLayer for layer in layers)


def repeated(prefix: DynamicCache, times: int) -> DynamicCache:
    """The keys and values of one prefix as those of `times` equal ones, sharing memory; `prefix` is not changed.

    The model appends by concatenation, so the shared memory is read and never written. Gradients of
    all texts add up in the prefix.
    """
    cache = copy.copy(prefix)
    cache.layers = [copy.copy(layer) for layer in prefix.layers]
    for layer in cache.layers:
        if not isinstance(layer, DynamicLayer):
            raise ValueError(
                f"a shared prefix needs attention in every layer, not {type(layer).__name__}"
            )
        layer.keys = layer.keys.expand(times, -1, -1, -1)
        layer.values = layer.values.expand(times, -1, -1, -1)
    return cache
