"""A sequence encoder's files: the same after loading, new items read by title, another shop takes over."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import torch

from lifecycle.events.shards import read_items
from lifecycle.features.sequence import (
    sequence_batch,
)
from lifecycle.features.vocabulary import (
    FIRST_KNOWN,
    UNKNOWN,
    Vocabulary,
    VocabularyRules,
    fit_vocabulary,
)
from lifecycle.llama.sequence_files import load_sequence_model, save_sequence_model, take_over
from lifecycle.llama.sequence_model import new_sequence_model, tensors
from lifecycle.llama.sequence_predict import load_sequence_predictor
from lifecycle.llama.titles import fit_title_encoder
from lifecycle.spend.ziln import ziln_loss
from tests.builders import TinyShop
from tests.lifecycle.llama.sequences import CUTOFF, SETTINGS, Known, logits


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
    catalogue = pl.DataFrame(
        {
            "item_id": [new, renamed, shared],
            "title": [
                "a",
                "another thing",
                dict(vocabulary.select("item_id", "title_text").iter_rows())[shared],
            ],
            "category": ["b", "c", "d"],
        }
    )
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
