"""LLaMA at inference: hidden states after some of the layers."""

from pathlib import Path

import numpy as np
import torch

from lifecycle.llama.decoder import last_hidden, load_decoder, load_tokenizer, pad_tokens
from lifecycle.llama.predict import HiddenPredictor
from tests.builders import decoder

PROMPTS = ["Spend,044", "Buys tea\nSpend,050,050", "x"]


def test_hidden_states_after_the_first_layers_and_after_all(tiny_base_model: Path) -> None:
    tokenizer, whole = (
        load_tokenizer(tiny_base_model),
        load_decoder(decoder(tiny_base_model), torch.float32).eval(),
    )
    hidden = HiddenPredictor(whole, tokenizer, 50).hidden(PROMPTS, [1, None])
    assert hidden.shape == (3, 2, 64)
    inputs = pad_tokens(tokenizer(PROMPTS)["input_ids"], tokenizer.pad_token_id)
    for position, num_layers in enumerate((1, None)):
        cut = load_decoder(decoder(tiny_base_model, num_layers), torch.float32).eval()
        with torch.inference_mode():
            expected = last_hidden(cut, *inputs).numpy()  # also normalised by its root mean square
        for row in range(len(PROMPTS)):
            assert np.corrcoef(hidden[row, position], expected[row])[0, 1] > 0.99999
    np.testing.assert_allclose(hidden.std(axis=2), 1.0, atol=0.1)
    assert np.abs(hidden[:, 0] - hidden[:, 1]).max() > 0.1
