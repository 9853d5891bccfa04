"""Small real objects that tests share: a random two-layer LLaMA on disk, and a shop of 300 customers."""

import importlib.util
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from lifecycle.folders import Manifest, write_manifest
from lifecycle.names import BTYD_MODELS
from lifecycle.value.formula import ClvSettings
from tests.builders import (
    CHAT_TEMPLATE,
    Columns,
    TinyShop,
    write_shop,
)
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig


@pytest.fixture(scope="session")
def tiny_base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LlamaForCausalLM with random weights (2 layers, hidden 64) and a tokenizer of one token per byte."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base") / "tiny-llama"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    write_manifest(folder, "base_model", Manifest(identity="tiny-llama"))
    return folder


@pytest.fixture(scope="session")
def tiny_chat_model(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base model with a chat template, and with embeddings as large as pretraining makes them.

    With those of a new model no adapter could make a token likely: its logits lie within 1.3 of
    each other.
    """
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("chat") / "tiny-chat"
    shutil.copytree(tiny_base_model, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] *= 10
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return folder


@pytest.fixture(scope="session")
def tiny_shop(tmp_path_factory: pytest.TempPathFactory) -> TinyShop:
    """A year of orders of 300 customers whose rates and order values differ, ingested and prepared."""
    folder = tmp_path_factory.mktemp("shop")
    shop = TinyShop(
        folder / "lines.csv", folder / "items.csv", folder / "data", folder / "examples"
    )
    write_shop(shop.lines, shop.items)
    ingest(
        IngestConfig.model_validate(
            {
                "sources": [
                    {
                        "path": str(shop.lines),
                        "format": "csv",
                        "kind": {"sql": "CASE WHEN amount < 0 THEN 'refund' ELSE 'purchase' END"},
                        "columns": {
                            "customer_id": "customer",
                            "occurred_at": "at",
                            "order_id": "order",
                            "item_id": "item",
                            "quantity": "quantity",
                            "amount": "amount",
                        },
                    }
                ],
                "items": {
                    "path": str(shop.items),
                    "format": "csv",
                    "columns": {
                        "item_id": "item",
                        "title": "title",
                        "category": "category",
                        "price": "price",
                    },
                },
                "quality_html": False,
                "output": str(shop.data),
            }
        )
    )
    prepare(
        PrepareConfig(
            data=shop.data,
            test_cutoff=date(2024, 10, 30),
            horizon_days=60,
            num_train_cutoffs=2,
            output=shop.examples,
        )
    )
    return shop


@pytest.fixture(scope="session")
def tiny_artifact(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact that evaluate makes of the tiny shop with the cheap models alone; no Ray, no LLaMA."""
    from training.evaluate.job import evaluate
    from training.evaluate.recipe import EvaluateConfig

    output = tmp_path_factory.mktemp("arena")
    models = (
        "persistence",
        *BTYD_MODELS,
        "lightgbm",
        "hurdle",
        "ziln",
        "stack",
        "popularity",
        "personal_frequency",
    )
    evaluate(
        EvaluateConfig(
            data=tiny_shop.data,
            examples=tiny_shop.examples,
            models=models,
            num_resamples=20,
            clv=ClvSettings(period_days=30, num_periods=4),
            report_html=False,
            output=output,
        )
    )
    return output / "artifact"


@pytest.fixture(scope="session")
def cdnow() -> Columns:
    """x, t_x, T in weeks and mean repeat value of the 1/10 sample."""
    spec = importlib.util.find_spec("lifetimes")
    if spec is None or spec.origin is None:
        pytest.skip("the package lifetimes, which carries CDNOW, is not installed")
    path = Path(spec.origin).parent / "datasets" / "cdnow_customers_summary_with_transactions.csv"
    frame = pl.read_csv(path)
    x, t_x, age, value = (frame[name].to_numpy() for name in ("x", "t_x", "T", "zbar"))
    return x, t_x, age, value


@pytest.fixture(scope="session")
def gpt2_base_model(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 with random weights, whose layers are named otherwise and are not nn.Linear."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2Model

    folder = tmp_path_factory.mktemp("gpt2")
    AutoTokenizer.from_pretrained(tiny_base_model).save_pretrained(folder)
    torch.manual_seed(1)
    GPT2Model(
        GPT2Config(vocab_size=259, n_positions=256, n_embd=32, n_layer=3, n_head=2)
    ).save_pretrained(folder)
    return folder
