"""Training the next-item encoder inside one process: steps, validation, the member and its rankings."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from lifecycle.events.schema import is_purchase
from lifecycle.events.shards import read_items, read_shard, shard_paths
from lifecycle.llama.member import read_member
from lifecycle.llama.next_item.predict import NextItemPredictor, load_next_item_predictor
from tests.training.tasks.next_item.shops import ingest_lines, recipe, rounds
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig
from training.results.arena import Results
from training.run.job import train
from training.tasks.next_item.task import NextItemTask

pytestmark = pytest.mark.usefixtures("deepspeed_environment")
Folders = tuple[Path, Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Data and examples of the round."""
    return ingest_lines(rounds(), tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def member(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves that has learned the round."""
    config = recipe(folders, tmp_path_factory.mktemp("run"))
    train(config)
    return config.output / "member"


@pytest.fixture(scope="module")
def purchases(folders: Folders) -> pl.DataFrame:
    return pl.concat([read_shard(path).filter(is_purchase()) for path in shard_paths(folders[0])])


@pytest.fixture(scope="module")
def predictor(member: Path, folders: Folders) -> NextItemPredictor:
    return load_next_item_predictor(member, read_items(folders[0]))


def test_sampled_softmax_of_many_draws_is_the_full_one(folders: Folders, tmp_path: Path) -> None:
    from training.loop.worker import start_run

    full = recipe(folders, tmp_path / "run")
    run = start_run(full.model_dump(mode="json"))
    rows = np.arange(8)
    epochs = np.zeros(8, dtype=np.int64)
    losses = []
    for softmax_items in (100, 1):
        changes = {"softmax_items": softmax_items, "sampled_items": 200_000}
        task = NextItemTask(full.model_copy(update=changes))
        losses.append(task.loss(run.engine, rows, epochs)[0].item())
    assert losses[1] == pytest.approx(losses[0], rel=2e-3)


@pytest.mark.integration
def test_the_round_is_learned_and_the_member_says_what_it_is(member: Path) -> None:
    manifest = read_member(member, "next_item")
    assert (manifest.name, manifest.encoder) == ("sequence_llama", "sequence")
    assert manifest.metrics["val_hr"] == 1.0 and manifest.metrics["val_ndcg"] > 0.95
    with pytest.raises(ValueError, match="was trained for task next_item; task value is needed"):
        read_member(member)


@pytest.mark.integration
def test_what_comes_next_in_the_round_is_ranked_first(
    predictor: NextItemPredictor, purchases: pl.DataFrame
) -> None:
    customers = purchases["customer_id"].unique().sort()
    ranking = predictor.rank(purchases, customers, k=20, exclude_seen=False)
    last = dict(purchases.group_by("customer_id").agg(pl.col("item_id").last()).iter_rows())
    first = dict(ranking.filter(pl.col("rank") == 1).select("customer_id", "item_id").iter_rows())
    hits = [first[name] == f"i{(int(last[name][1:]) + 1) % 12:02}" for name in customers]
    assert np.mean(hits) > 0.95
    assert ranking.height == 12 * customers.len()  # of a catalogue of twelve all
    total = ranking.group_by("customer_id").agg(pl.col("score").exp().sum())["score"]
    np.testing.assert_allclose(total.to_numpy(), 1.0, rtol=1e-4)
    new = predictor.rank(purchases, customers, k=20, exclude_seen=True)
    seen = purchases.select("customer_id", "item_id")
    assert new.join(seen, on=["customer_id", "item_id"], how="semi").is_empty()
    assert new.height == 4 * customers.len()
    offered = pl.Series(["i07", "i03", "i00"])
    few = predictor.rank(purchases, customers, k=2, exclude_seen=False, offered=offered)
    best = ranking.filter(pl.col("item_id").is_in(offered.implode())).group_by("customer_id")
    expected = best.head(2).sort("customer_id", "score", descending=[False, True])
    found = few.sort("customer_id", "rank")
    assert found["item_id"].equals(expected["item_id"])
    assert found["score"].equals(expected["score"])
    nothing = predictor.rank(purchases, customers, k=2, exclude_seen=False, offered=offered.clear())
    assert nothing.is_empty()
    alone = predictor.rank(purchases, customers[:1], k=20, exclude_seen=True)
    mine = new.filter(pl.col("customer_id") == customers[0])
    assert alone["item_id"].to_list() == mine["item_id"].to_list()


@pytest.mark.integration
def test_items_that_left_are_not_ranked_and_new_ones_are(
    member: Path, folders: Folders, purchases: pl.DataFrame
) -> None:
    items = read_items(folders[0])
    new = items.head(1).with_columns(item_id=pl.lit("new"))
    customers = pl.Series("customer_id", ["c00", "nobody"])
    for catalogue in (
        pl.concat([items.tail(3), new]),
        new,
    ):  # then everything that c00 bought has left
        predictor = load_next_item_predictor(member, catalogue)
        ranking = predictor.rank(purchases, customers, k=20, exclude_seen=False)
        assert ranking["customer_id"].unique().to_list() == ["c00"]
        assert set(ranking["item_id"]) == set(catalogue["item_id"])
    with pytest.raises(ValueError, match="ranks the items of a catalogue, and there are none"):
        load_next_item_predictor(member, items.clear())
    unknown = purchases.filter(pl.col("customer_id") == "c00").with_columns(item_id=pl.lit("?"))
    assert predictor.rank(unknown, customers, k=5, exclude_seen=True).height == 1


@pytest.mark.integration
def test_member_stands_in_the_arena(member: Path, folders: Folders, tmp_path: Path) -> None:
    config = EvaluateConfig(
        data=folders[0],
        examples=folders[1],
        ranking_members={"sequence_llama": member},
        models=("popularity", "retriever"),
        report_html=False,
        output=tmp_path / "arena",
    )
    evaluate(config)
    rankings = pl.read_parquet(tmp_path / "arena" / "rankings.parquet")
    assert set(rankings["model"]) == {"popularity", "retriever", "sequence_llama", "router"}
    chosen = Results.read(tmp_path / "arena" / "metrics.json").recommender
    assert chosen.model == "sequence_llama"
    assert set(chosen.ndcg_at_20) == {"popularity", "retriever", "sequence_llama"}
    truth = pl.read_parquet(folders[1] / "test.parquet").select("customer_id", "item_id")
    mine = rankings.filter((pl.col("model") == "sequence_llama") & (pl.col("rank") == 1))
    assert mine.join(truth, on=["customer_id", "item_id"], how="semi").height > 0.9 * truth.height


@pytest.mark.integration
def test_a_run_ends_where_its_patience_ends(folders: Folders, tmp_path: Path) -> None:
    still = {"learning_rate": 1e-9, "weight_decay": 0.0}
    config = recipe(
        folders, tmp_path / "run", optimizer=still, patience=2, checkpoint_every_steps=2
    )
    train(config)
    steps = [line for line in (config.output / "progress.jsonl").read_text().splitlines()]
    assert sum('"val_ndcg"' in line for line in steps) == 3  # the best, and two no better


def test_titles_are_read_and_a_shop_without_any_is_refused(
    tiny_base_model: Path, folders: Folders, tmp_path: Path
) -> None:
    items = pl.DataFrame({"item": [f"i{n:02}" for n in range(12)]}).with_columns(
        title=pl.format("no. {} 緑茶", "item"), category=pl.lit("tea")
    )
    described = items.select("title", "category", item_id="item")
    (tmp_path / "shop").mkdir()
    shop = ingest_lines(rounds(), tmp_path / "shop", described)
    task = NextItemTask(recipe(shop, tmp_path / "run", base_model=str(tiny_base_model)))
    model, _ = task.new_model(torch.float32)
    vectors = model.vectors(torch.tensor([1, 2]))
    assert (vectors[0] - vectors[1] - (model.own.weight[2] - model.own.weight[3])).abs().max() > 0
    with pytest.raises(ValueError, match="the catalogue has 0 different titles"):
        NextItemTask(recipe(folders, tmp_path / "run", base_model=str(tiny_base_model)))


def test_validation_rates_a_perfect_list_at_one(folders: Folders, tmp_path: Path) -> None:
    task = NextItemTask(recipe(folders, tmp_path / "run", exclude_seen=True))
    end = int(task.rows.validation.end[0])
    scores = np.full(len(task.items), -9.0)
    scores[task.known.item[end] - 1] = -0.5
    assert task._rated(0, scores) == [0.5, 1.0, 1.0, 1.0]
    seen = task.known.item[int(task.rows.first[0])]
    scores[seen - 1] = -0.1  # left out: it was bought before
    assert task._rated(0, scores)[1:] == [1.0, 1.0, 1.0]
