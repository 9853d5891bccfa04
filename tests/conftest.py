"""Small real objects that tests share: a random two-layer LLaMA on disk, and a shop of 300 customers."""

import importlib.util
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lifecycle.btyd.likelihood import FitReport
from lifecycle.folders import write_manifest
from lifecycle.llama.member import DecoderSettings
from lifecycle.names import BTYD_MODELS
from lifecycle.value.formula import ClvSettings
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

NUM_CUSTOMERS = 300
NUM_ITEMS = 40
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
NUM_DAYS = 364
REPORT = FitReport(0.0, True, "converged", 20, 2, 0.0, 0.0, {})  # of a fit that nobody made
Columns = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
CATEGORIES = ("coffee", "tea", "bread", "soap")


@dataclass(frozen=True)
class TinyShop:
    """Folders of the synthetic shop: its two source files, what ingest made of them, and its examples."""

    lines: Path
    items: Path
    data: Path
    examples: Path


def decoder(base_model: Path, num_layers: int | None = None) -> DecoderSettings:
    """How tests read a base model: eager attention, prompts of any sensible length."""
    return DecoderSettings(base_model, num_layers, "eager", 320)


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
        vocab_size=len(vocabulary), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    write_manifest(folder, "base_model", {"identity": "tiny-llama"})
    return folder


CHAT_TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def tiny_chat_model(tiny_base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base model with a chat template, and with embeddings as large as pretraining makes them.

    With those of a new model no adapter could make a token likely: its logits lie within 1.3 of each other.
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
    shop = TinyShop(folder / "lines.csv", folder / "items.csv", folder / "data", folder / "examples")
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
                            "customer_id": "customer", "occurred_at": "at", "order_id": "order",
                            "item_id": "item", "quantity": "quantity", "amount": "amount",
                        },
                    }
                ],
                "items": {
                    "path": str(shop.items),
                    "format": "csv",
                    "columns": {"item_id": "item", "title": "title", "category": "category", "price": "price"},
                },
                "quality_html": False,
                "output": str(shop.data),
            }
        )
    )  # fmt: skip
    prepare(
        PrepareConfig(
            data=shop.data, test_cutoff=date(2024, 10, 30), horizon_days=60, num_train_cutoffs=2, output=shop.examples
        )
    )
    return shop


def write_shop(lines: Path, items: Path) -> None:
    """The two CSV files of the shop. Customers buy from a favourite category at their own rate; some lines return."""
    generator = np.random.default_rng(0)
    prices = generator.uniform(2, 30, NUM_ITEMS).round(2)
    pl.DataFrame(
        {
            "item": [f"i{number}" for number in range(NUM_ITEMS)],
            "title": [f"{CATEGORIES[number % 4]} no. {number}" for number in range(NUM_ITEMS)],
            "category": [CATEGORIES[number % 4] for number in range(NUM_ITEMS)],
            "price": prices,
        }
    ).write_csv(items)
    rows: list[tuple[str, str, str, str, int, float]] = []
    for customer in range(NUM_CUSTOMERS):
        gap_days, favourite = generator.gamma(2.0, 15.0) + 2.0, int(generator.integers(4))
        day = generator.uniform(0, 120)
        while day < NUM_DAYS and (not rows or generator.uniform() > 0.04):
            at, order = FIRST_DAY + timedelta(days=day), f"o{len(rows)}"
            for _ in range(1 + generator.poisson(1.0)):
                item = 4 * int(generator.integers(NUM_ITEMS // 4)) + (
                    favourite if generator.uniform() < 0.8 else int(generator.integers(4))
                )
                quantity = int(1 + generator.poisson(0.5))
                sign = -1 if generator.uniform() < 0.02 else 1
                amount = round(sign * quantity * float(prices[item]), 2)
                rows.append((f"c{customer}", f"{at:%Y-%m-%dT%H:%M:%S}", order, f"i{item}", sign * quantity, amount))
            day += generator.exponential(gap_days)
    columns = ["customer", "at", "order", "item", "quantity", "amount"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(lines)


@pytest.fixture(scope="session")
def tiny_artifact(tiny_shop: TinyShop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact that evaluate makes of the tiny shop with the cheap models alone; no Ray, no LLaMA."""
    from training.evaluate.job import evaluate
    from training.evaluate.recipe import EvaluateConfig

    output = tmp_path_factory.mktemp("arena")
    models = ("persistence", *BTYD_MODELS, "lightgbm", "hurdle", "ziln", "stack", "popularity", "personal_frequency")
    evaluate(
        EvaluateConfig(
            data=tiny_shop.data, examples=tiny_shop.examples, models=models, num_resamples=20,
            clv=ClvSettings(period_days=30, num_periods=4), output=output,
        )
    )  # fmt: skip
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
    GPT2Model(GPT2Config(vocab_size=259, n_positions=256, n_embd=32, n_layer=3, n_head=2)).save_pretrained(folder)
    return folder
