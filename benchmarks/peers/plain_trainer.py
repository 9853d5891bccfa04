"""The yardstick of training_speed: a plain transformers Trainer with peft, as most people would write it.

`python -m benchmarks.peers.plain_trainer EXAMPLES BASE_MODEL NUM_EXAMPLES VALIDATION_ROWS SEED` trains
the whole base model in float32 with LoRA on every linear projection, batches of 8 padded to their
longest prompt, at the Trainer's defaults but for a learning rate usual for LoRA, and prints real
tokens per second and the validation loss as JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TypedDict

import polars as pl
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments

from lifecycle.llama.decoder import load_tokenizer, pad_tokens, token_batches
from lifecycle.llama.lora import LoraSettings
from lifecycle.llama.member import DecoderSettings
from lifecycle.llama.text_model import new_value_model
from lifecycle.spend.ziln import ziln_loss
from training.tasks.recipes.text import TextRecipe
from training.tasks.text import COLUMNS, target_scale, validation_sample

BATCH = 8
LEARNING_RATE = 5e-4
MAX_TOKENS = 320
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Example(TypedDict):
    """A prompt and what its customer will spend, over the scale."""

    tokens: list[int]
    target: float


class PlainTrainer(Trainer):  # type: ignore[misc]
    """The Trainer with the loss of our head."""

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        **others: object,
    ) -> Tensor:
        """Zero-inflated lognormal loss of a batch."""
        return ziln_loss(model(inputs["input_ids"], inputs["attention_mask"]), inputs["target"])


def run(
    examples: Path, base_model: str, num_examples: int, validation_rows: int, seed: int
) -> dict[str, float]:
    """Tokens per second, without padding, and validation loss."""
    recipe = TextRecipe(
        data=examples,
        examples=examples,
        base_model=base_model,
        validation_rows=validation_rows,
        seed=seed,
        output=examples,
    )
    train = pl.read_parquet(examples / "train.parquet", columns=COLUMNS)
    tokenizer = load_tokenizer(base_model)
    scale = target_scale(train)
    rows = train.sample(num_examples, seed=seed, shuffle=True)
    tokens = tokenizer(rows["prompt"].to_list())["input_ids"]
    data: list[Example] = [
        {"tokens": row, "target": target / scale}
        for row, target in zip(tokens, rows["target"], strict=True)
    ]

    def collate(batch: list[Example]) -> dict[str, Tensor]:
        ids, mask = pad_tokens([example["tokens"] for example in batch], tokenizer.pad_token_id)
        target = torch.tensor([example["target"] for example in batch], dtype=torch.float32)
        return {"input_ids": ids, "attention_mask": mask, "target": target}

    torch.manual_seed(seed)
    settings = DecoderSettings(base_model, None, "sdpa", MAX_TOKENS)
    model = new_value_model(settings, LoraSettings(targets=LINEAR), torch.float32)
    model.head.start_from(torch.tensor(train["target"].to_numpy() / scale, dtype=torch.float32))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=LEARNING_RATE,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            remove_unused_columns=False,
            seed=seed,
        )
        trainer = PlainTrainer(
            model=model, args=arguments, train_dataset=data, data_collator=collate
        )
        started_at = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started_at
    validation = validation_sample(recipe, COLUMNS)
    loss = validation_loss(model.eval(), tokenizer, validation, scale)
    return {"tokens_per_second": sum(map(len, tokens)) / seconds, "val_loss": loss}


@torch.inference_mode()
def validation_loss(
    model: nn.Module, tokenizer: PreTrainedTokenizerBase, validation: pl.DataFrame, scale: float
) -> float:
    """Mean loss of the validation rows."""
    target = torch.tensor(validation["target"].to_numpy() / scale, dtype=torch.float32)
    total = 0.0
    for chosen, ids, mask in token_batches(
        tokenizer, validation["prompt"].to_list(), MAX_TOKENS, 16
    ):
        for logits, row in zip(model(ids, mask), chosen, strict=True):
            total += float(ziln_loss(logits[None], target[row][None]))
    return total / validation.height


if __name__ == "__main__":
    words = sys.argv
    print(json.dumps(run(Path(words[1]), words[2], int(words[3]), int(words[4]), int(words[5]))))
