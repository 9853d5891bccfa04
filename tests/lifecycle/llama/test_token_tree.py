"""A tree of tokens by hand, and which decoders can read one."""

import numpy as np
from transformers import BloomConfig, FalconConfig, GPT2Config, LlamaConfig, MistralConfig

from lifecycle.llama.token_tree import can_read_trees, token_tree


def test_beginnings_that_texts_share_are_there_once() -> None:
    tree = token_tree([[7, 8, 9], [7, 8, 5, 6], [7], [3, 8, 1], [7, 8, 9]])
    assert tree.token.tolist() == [7, 8, 5, 3, 8]  # 7, 7 8, 7 8 5, 3, 3 8
    assert tree.depth.tolist() == [0, 1, 2, 0, 1]
    assert tree.paths == [[0, 1], [0, 1, 2], [], [3, 4], [0, 1]]
    seen = [[0], [0, 1], [0, 1, 2], [3], [3, 4]]
    assert [np.flatnonzero(row).tolist() for row in tree.sees] == seen


def test_texts_of_one_token_need_no_tree() -> None:
    tree = token_tree([[4], [5]])
    assert len(tree.token) == 0 and tree.paths == [[], []]


def test_decoders_whose_attention_knows_distance_otherwise_read_no_trees() -> None:
    assert can_read_trees(LlamaConfig()) and can_read_trees(GPT2Config())
    assert not can_read_trees(MistralConfig(sliding_window=9))
    assert not can_read_trees(BloomConfig()) and not can_read_trees(FalconConfig(alibi=True))
