"""The sequence encoder: causal, indifferent to padding and batch, able to learn, and the same after saving."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from lifecycle.events.shards import read_items, read_shard, shard_paths
from lifecycle.features.sequence import (
    Histories,
    SequenceBatch,
    SequenceSettings,
    Window,
    histories,
    sequence_batch,
    window_of,
)
from lifecycle.features.vocabulary import (
    FIRST_KNOWN,
    UNKNOWN,
    Vocabulary,
    VocabularyRules,
    fit_vocabulary,
)
from lifecycle.llama.sequence_files import load_sequence_model, save_sequence_model, take_over
from lifecycle.llama.sequence_model import SequenceModel, new_sequence_model, tensors
from lifecycle.llama.sequence_predict import load_sequence_predictor
from lifecycle.llama.titles import fit_title_encoder
from lifecycle.spend.ziln import ziln_loss
from tests.builders import TinyShop

CUTOFF = datetime(2024, 8, 1, tzinfo=UTC)
SETTINGS = SequenceSettings(hidden_size=32, num_layers=2, num_heads=2, dropout=0.0, max_events=40)
Known = tuple[Histories, list[Window], SequenceModel]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads of so small a model wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def vocabulary(tiny_shop: TinyShop) -> pl.DataFrame:
    """Every item of the tiny shop as known to enough customers."""
    counts = read_items(tiny_shop.data).select("item_id", customers=pl.lit(9))
    return fit_vocabulary(counts, read_items(tiny_shop.data), VocabularyRules()).table


@pytest.fixture(scope="module")
def shop_events(tiny_shop: TinyShop) -> pl.DataFrame:
    """All events by customer and time."""
    shards = pl.concat([read_shard(path) for path in shard_paths(tiny_shop.data)])
    return shards.sort("customer_id", "occurred_at", maintain_order=True)


@pytest.fixture(scope="module")
def known(shop_events: pl.DataFrame, vocabulary: pl.DataFrame) -> Known:
    """Histories of the tiny shop, a window for each customer, and an encoder with random weights."""
    names = Vocabulary(vocabulary)
    found = histories(shop_events, names)
    cutoff = int(CUTOFF.timestamp() * 1e6)
    windows = [
        window_of(found, number, cutoff, SETTINGS) for number in range(len(found.customer_ids))
    ]
    torch.manual_seed(0)
    model = SequenceModel(SETTINGS, names.num_items, names.num_categories)
    torch.nn.init.normal_(model.head.linear.weight)
    return found, windows, model.eval()


def logits(model: SequenceModel, batch: SequenceBatch) -> np.ndarray:
    with torch.inference_mode():
        return model(*tensors(batch))[0].numpy()  # type: ignore[no-any-return]


def test_a_customer_has_the_same_value_in_any_batch(known: Known) -> None:
    found, windows, model = known
    lengths = [window.length for window in windows]
    assert min(lengths) < 6 and max(lengths) == SETTINGS.max_events + 1
    together = logits(model, sequence_batch(found, windows[:50], 60))
    for row in (0, 7, 23):
        np.testing.assert_allclose(
            logits(model, sequence_batch(found, [windows[row]], 60))[0], together[row], atol=2e-5
        )
    assert np.unique(together[:, 1].round(4)).size > 40


def test_an_event_does_not_see_those_after_it(known: Known) -> None:
    found, windows, model = known
    longest = max(windows, key=lambda window: window.length)
    batch = sequence_batch(found, [longest], 60)
    item, category, title, kind, features, _ = tensors(batch)
    with torch.inference_mode():
        before = model.hidden(item, category, title, kind, features)
        features[0, 20:] += 1.0
        kind[0, 20:] = 3
        after = model.hidden(item, category, title, kind, features)
    np.testing.assert_allclose(after[0, :20], before[0, :20], atol=1e-5)
    assert (after[0, 20:] - before[0, 20:]).abs().max() > 0.01


def test_both_losses_fall_on_a_batch_that_can_be_memorised(known: Known) -> None:
    found, windows, _ = known
    torch.manual_seed(1)
    model = SequenceModel(SETTINGS, 60, 20)
    batch = tensors(sequence_batch(found, windows[:16], 60))
    target = torch.linspace(0.0, 3.0, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(120):
        values, following = model(*batch, 200)
        losses.append((float(ziln_loss(values, target).detach()), float(following.detach())))
        optimizer.zero_grad()
        (ziln_loss(values, target) + following).backward()
        optimizer.step()
    assert losses[-1][0] < losses[0][0] - 0.5 and losses[-1][1] < losses[0][1] - 1.0


def test_next_event_loss_of_customers_with_a_single_event_is_nothing(known: Known) -> None:
    found, windows, model = known
    alone = [Window(window.first, window.end, window.end, window.cutoff) for window in windows[:3]]
    _, following = model(*tensors(sequence_batch(found, alone, 60)), 10)
    assert float(following.detach()) == 0.0


@pytest.mark.parametrize("num_events", [0, 1, 2])
def test_every_parameter_has_a_gradient_whatever_the_histories(
    known: Known, num_events: int
) -> None:
    """Workers reduce gradients in the order in which they arise; one that lacks some stops the others."""
    found, windows, _ = known
    torch.manual_seed(1)
    model = SequenceModel(SETTINGS, 60, 20)
    short = [
        Window(window.first, window.end - num_events, window.end, window.cutoff)
        for window in windows[:3]
    ]
    values, following = model(*tensors(sequence_batch(found, short, 60)), 10)
    (ziln_loss(values, torch.ones(3)) + following).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_saved_model_predicts_the_same_from_raw_events(
    known: Known,
    vocabulary: pl.DataFrame,
    shop_events: pl.DataFrame,
    tiny_shop: TinyShop,
    tmp_path: Path,
) -> None:
    found, windows, model = known
    items = read_items(tiny_shop.data)
    save_sequence_model(
        dict(model.state_dict()), SETTINGS, Vocabulary(vocabulary), None, 60, 25.0, tmp_path
    )
    loaded, _, settings, horizon_days, scale = load_sequence_model(tmp_path, items)
    assert (settings, horizon_days, scale) == (SETTINGS, 60, 25.0)
    batch = sequence_batch(found, windows[:20], 60)
    np.testing.assert_array_equal(logits(loaded, batch), logits(model, batch))
    assert not [
        path
        for path in tmp_path.iterdir()
        if path.suffix not in (".safetensors", ".json", ".parquet")
    ]
    predictor = load_sequence_predictor(tmp_path, items)
    keys = pl.DataFrame({"customer_id": found.customer_ids, "cutoff": CUTOFF}).filter(
        pl.Series([window.length > 1 for window in windows])
    )
    keys = keys.cast({"cutoff": pl.Datetime("us", "UTC")})
    spend = predictor.expected_spend(shop_events, keys)
    shuffled = keys.sample(fraction=1.0, shuffle=True, seed=3)
    again = dict(
        zip(shuffled["customer_id"], predictor.expected_spend(shop_events, shuffled), strict=True)
    )
    np.testing.assert_allclose([again[name] for name in keys["customer_id"]], spend, rtol=1e-4)
    later = shop_events.with_columns(
        pl.when(pl.col("occurred_at") >= CUTOFF)
        .then(pl.col("amount") * 50)
        .otherwise("amount")
        .alias("amount")
    )
    np.testing.assert_array_equal(predictor.expected_spend(later, keys), spend)
    assert CUTOFF + timedelta(days=60) < shop_events["occurred_at"].max()  # type: ignore[operator]


def test_item_that_came_after_training_is_read_by_its_title(
    vocabulary: pl.DataFrame,
    shop_events: pl.DataFrame,
    tiny_base_model: Path,
    tiny_shop: TinyShop,
    tmp_path: Path,
) -> None:
    names, items = Vocabulary(vocabulary), read_items(tiny_shop.data)
    encoder = fit_title_encoder(str(tiny_base_model), names.titles)
    torch.manual_seed(0)
    model = new_sequence_model(SETTINGS, names, encoder)
    torch.nn.init.normal_(model.head.linear.weight)
    save_sequence_model(dict(model.state_dict()), SETTINGS, names, encoder, 60, 25.0, tmp_path)
    old = items.row(7, named=True)
    twin, stranger = old | {"item_id": "new"}, old | {"item_id": "new", "title": "bread no. 9000"}
    keys = shop_events.select("customer_id").unique().with_columns(cutoff=CUTOFF)
    keys = keys.cast({"cutoff": pl.Datetime("us", "UTC")})
    renamed = shop_events.with_columns(pl.col("item_id").replace(old["item_id"], "new"))

    def spend(events: pl.DataFrame, *new: dict[str, object]) -> np.ndarray:
        catalogue = pl.concat([items, pl.DataFrame(new, schema=items.schema)])
        predictor = load_sequence_predictor(tmp_path, catalogue)
        assert predictor.vocabulary.table.filter(pl.col("item_id") == "new")["item"].to_list() == [
            UNKNOWN
        ] * len(new)
        return predictor.expected_spend(events, keys)

    # What is an item's own starts at nothing, so that before training an item is what its title and category say.
    before = spend(shop_events)
    np.testing.assert_allclose(spend(renamed, twin), before, rtol=1e-5)
    assert (np.abs(spend(renamed, stranger) / before - 1) > 1e-4).any()
    assert (np.abs(spend(renamed) / before - 1) > 1e-4).any()


def test_next_items_are_told_apart_by_title_and_by_what_is_their_own(
    known: Known, vocabulary: pl.DataFrame, tiny_base_model: Path
) -> None:
    found, windows, _ = known
    names = Vocabulary(vocabulary)
    model = new_sequence_model(
        SETTINGS, names, fit_title_encoder(str(tiny_base_model), names.titles)
    )
    at_start = model.item_vectors().detach()
    assert len(at_start[2:].unique(dim=0)) == names.num_items - 2  # their titles differ
    values, following = model(*tensors(sequence_batch(found, windows[:16], 60)), 200)
    (ziln_loss(values, torch.ones(16)) + following).backward()
    assert (
        model.title is not None
        and model.title.weight.grad is not None
        and model.item.weight.grad is not None
    )
    assert model.title.weight.grad.abs().sum() > 0 and model.item.weight.grad.abs().sum() > 0


def test_a_new_shop_takes_over_all_but_the_head_and_what_only_the_other_shop_has(
    known: Known, vocabulary: pl.DataFrame, tmp_path: Path
) -> None:
    _, _, model = known
    theirs = Vocabulary(vocabulary)
    save_sequence_model(model.state_dict(), SETTINGS, theirs, None, 60, 1.0, tmp_path)
    items = (
        vocabulary.filter(pl.col("item") >= FIRST_KNOWN).sort("item").head(4)["item_id"].to_list()
    )
    shared, renamed, new = items[0], items[1], "of this shop"
    catalogue = pl.DataFrame({
        "item_id": [new, renamed, shared],
        "title": ["a", "another thing", dict(vocabulary.select("item_id", "title_text").iter_rows())[shared]],
        "category": ["b", "c", "d"],
    })  # fmt: skip
    counts = catalogue.select("item_id", customers=pl.lit(9))
    ours = fit_vocabulary(counts, catalogue, VocabularyRules())
    other = new_sequence_model(SETTINGS, ours, None)
    fresh = {name: value.clone() for name, value in other.state_dict().items()}
    take_over(other, ours, tmp_path)
    place, place_of_theirs = (
        dict(of.table.filter(pl.col("item") >= FIRST_KNOWN).select("item_id", "item").iter_rows())
        for of in (ours, theirs)
    )
    state, source = other.state_dict(), model.state_dict()
    assert torch.equal(
        state["item.weight"][place[shared]], source["item.weight"][place_of_theirs[shared]]
    )
    for item in (new, renamed):
        assert torch.equal(state["item.weight"][place[item]], fresh["item.weight"][place[item]])
    assert torch.equal(state["item.weight"][UNKNOWN], source["item.weight"][UNKNOWN])
    for name in state:
        if name.startswith(("decoder.", "features.", "kind.", "next_")):
            assert torch.equal(state[name], source[name]), name
        if name.startswith("head."):
            assert torch.equal(state[name], fresh[name]), name
