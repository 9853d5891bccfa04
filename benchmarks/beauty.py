"""Next items on Amazon Beauty: `python -m benchmarks.beauty --data-dir DIR [--seeds 3] [--retrain 3] [--scaling]`.

Protocol, printed too: S3-Rec split (22,363 users, 12,101 items), full ranking without sampled
negatives, items already seen left out. A model trains without a user's last two items, its epoch is
chosen on the last but one, and at the test it reads all but the last. With `--retrain 3` a second
model of each of so many seeds learns from the last but one too, for as many epochs as the first was
best after. With `--scaling` one epoch is timed on the users once, twice and four times. With
`--rerank 400` SmolLM2-135M reads titles of the first seed's candidates, for so many users before the
test and, where that brings something, at the test.

Every seed takes long. What is finished stays below `--folder`; the same command goes on from there,
and `--seeds` says how many seeds are wanted in all. What was not run is null.
"""

import argparse
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import copyfile
from statistics import mean

import polars as pl

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.shop import CONFIGS
from benchmarks.harness.text_reranking import text_reranking
from benchmarks.harness.training_run import train
from lifecycle.events.shards import read_items
from lifecycle.folders import write_json
from lifecycle.jobs import start_logging
from lifecycle.llama.next_item.predict import load_next_item_predictor
from lifecycle.metrics.ranking import ranking_metrics
from training.evaluate.recommend.tasks import Basket, RankingTask, next_item_task
from training.ingest.job import ingest
from training.ingest.recipe import IngestConfig
from training.prepare.job import prepare
from training.prepare.recipe import PrepareConfig

logger = logging.getLogger(__name__)
RECIPE = "beauty_next_item.yaml"
EVALUATE = "beauty_evaluate.yaml"
RERANK_KEYS = ("rerank_ndcg_gain", "rerank_gain_short", "rerank_weight")
FILES = ("interactions.parquet", "items.parquet")
PROTOCOL = (
    "Amazon Beauty, S3-Rec split, full ranking, seen items out; trained without the last two items, epoch chosen on "
    "the last but one, test on the last; retrained_*: the last but one learned too"
)
COPIES = (1, 2, 4)
SHORT = 5  # purchases, of a short history


@dataclass(frozen=True)
class Figures:
    """How well a trained member ranks the test items, and what it cost."""

    hr_at_10: float
    ndcg_at_10: float
    short_ndcg_at_10: float  # of histories of five or fewer
    seconds: float  # from the command to the member
    epochs: float  # after which it was best
    val_ndcg: float


def main() -> None:
    """Measure what is wanted and not there yet, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("EVERVALUE_DATA"))
    parser.add_argument("--folder", type=Path, default=Path("runs/beauty"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=None, help="fewer than the recipe's")
    parser.add_argument(
        "--retrain", type=int, default=0, help="seeds whose last but one is learned too"
    )
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument(
        "--rerank", type=int, default=None, help="users whose candidates LLaMA reads"
    )
    arguments = parser.parse_args()
    start_logging()
    print(PROTOCOL, flush=True)
    source = data_folder(arguments.data_dir)
    places = prepare_users(source, arguments.folder, copies=1)
    task = next_item_task(places["data"], places["examples"] / "test.parquet")
    changes = [f"epochs={arguments.epochs}"] if arguments.epochs else []
    first: list[Figures] = []
    second: list[Figures] = []
    for seed in range(arguments.seeds):
        output = arguments.folder / f"seed-{seed}"
        first.append(measured(output, [*changes, f"seed={seed}"], places, task))
        print(f"seed {seed}: {first[-1]}", flush=True)
        if seed < arguments.retrain:
            again = arguments.folder / f"retrained-{seed}"
            second.append(measured(again, [*final(first[-1]), f"seed={seed}"], places, task))
            print(f"seed {seed}, the last but one learned too: {second[-1]}", flush=True)
    scaling = {
        f"seconds_{copies}x": epoch_seconds(source, arguments.folder, copies)
        if arguments.scaling
        else None
        for copies in COPIES
    }
    reranking: dict[str, Json] = dict.fromkeys(RERANK_KEYS)
    if arguments.rerank:
        arena = places | {"output": arguments.folder / "arena"}
        member = arguments.folder / "seed-0" / "member"
        reranking |= text_reranking(EVALUATE, arena, member, arguments.rerank, SHORT)
    numbers: dict[str, Json] = {
        "hr@10": average(first, "hr_at_10"),
        "ndcg@10": average(first, "ndcg_at_10"),
        "retrained_hr@10": average(second, "hr_at_10"),
        "retrained_ndcg@10": average(second, "ndcg_at_10"),
        "short_ndcg@10": average(first, "short_ndcg_at_10"),
        "val_ndcg@10": average(first, "val_ndcg"),
        "seconds": average(first, "seconds"),
        **scaling,
        **reranking,
        "protocol": PROTOCOL,
        "runs": [asdict(one) for one in first],
        "retrained_runs": [asdict(one) for one in second],
    }
    files = [source / name for name in FILES]
    write_evidence("beauty", numbers, seeds=range(arguments.seeds), data=files)


def data_folder(given: Path | str | None) -> Path:
    """The folder that holds both files; ends the benchmark where it does not."""
    folder = Path(given or ".") / "beauty"
    for name in FILES:
        if not (folder / name).is_file():
            raise SystemExit(
                f"{folder / name} is missing: Amazon Beauty 5-core in the split of S3-Rec "
                "(github.com/aHuiWang/CIKM2020-S3Rec) as user, pos, item, and item, title; "
                "say where with --data-dir or EVERVALUE_DATA"
            )
    return folder


def prepare_users(source: Path, folder: Path, copies: int) -> dict[str, Path]:
    """Ingest and prepare the users, each so many times; what is there stays."""
    folder = folder if copies == 1 else folder / f"{copies}x"
    folder.mkdir(parents=True, exist_ok=True)
    places = {"data": folder / "data", "examples": folder / "examples"}
    users = folder / "interactions.parquet"
    if not users.exists():
        lines = pl.read_parquet(source / FILES[0])
        parts = [lines.with_columns(pl.col("user") + 1_000_000 * copy) for copy in range(copies)]
        pl.concat(parts).write_parquet(users)
    items = folder / FILES[1]
    if not items.exists():  # a copy: what is finished stays, also where the source is written again
        copyfile(source / FILES[1], items)
    overrides = [
        f"sources.0.path={users}",
        f"items.path={items}",
        f"output={places['data']}",
        "quality_html=false",
    ]
    ingest(IngestConfig.load(CONFIGS / "beauty_ingest.yaml", overrides))
    recipe = PrepareConfig.load(CONFIGS / "beauty_prepare.yaml")
    prepare(recipe.model_copy(update={"data": places["data"], "output": places["examples"]}))
    return places


def measured(
    output: Path, changes: list[str], places: dict[str, Path], task: RankingTask
) -> Figures:
    """Train and judge; a run that is finished already is read."""
    path = output / "figures.json"
    if path.exists():
        return Figures(**json.loads(path.read_text()))
    run = train(RECIPE, output, [*(f"{key}={value}" for key, value in places.items()), *changes])
    validations = [line for line in run.progress if "val_ndcg" in line]
    best = max(validations, key=lambda line: line["val_ndcg"])
    last = run.progress[-1]
    rated = judge(output / "member", places["data"], task)
    short = {name: one for name, one in task.baskets.items() if one.num_orders <= SHORT}
    found = Figures(
        hr_at_10=rated["hr@10"],
        ndcg_at_10=rated["ndcg@10"],
        short_ndcg_at_10=judge(output / "member", places["data"], task, short)["ndcg@10"],
        seconds=run.seconds_to_member,
        epochs=best["step"] / validations[0]["step"],
        val_ndcg=best["val_ndcg"],
    )
    logger.info("%d steps in %.0f s", last["step"], last["seconds"])
    write_json(path, asdict(found))
    return found


def judge(
    member: Path, data: Path, task: RankingTask, baskets: dict[str, Basket] | None = None
) -> dict[str, float]:
    """Metrics of a member's rankings for the users of the task, or those of `baskets`."""
    wanted = task.baskets if baskets is None else baskets
    items = read_items(data)
    predictor = load_next_item_predictor(member, items)
    users = pl.Series("customer_id", sorted(wanted), dtype=pl.String)
    rankings = [predictor.rank(shard, users, k=20, exclude_seen=True) for shard in task.shards()]
    ordered = pl.concat(rankings).sort("customer_id", "rank").group_by("customer_id")
    lists = dict(ordered.agg("item_id").iter_rows())
    truths = {name: basket.truth for name, basket in wanted.items()}
    found = ranking_metrics(lists, truths, items.height)
    return {name: float(value) for name, value in found.items() if value is not None}


def final(chosen: Figures) -> list[str]:
    """What changes in the recipe where the last but one is learned too."""
    return [
        f"epochs={chosen.epochs:g}",
        "learn_validation=true",
        "export=last",
        "patience=null",
    ]


def epoch_seconds(source: Path, folder: Path, copies: int) -> float:
    """Seconds of the steps of one epoch, start-up and validation left out."""
    output = folder / f"epoch-{copies}x"
    path = output / "seconds.json"
    if not path.exists():
        places = prepare_users(source, folder, copies)
        changes = [f"{key}={value}" for key, value in places.items()]
        run = train(RECIPE, output, [*changes, "epochs=1", "patience=null", "validation_rows=64"])
        first, *_, last = run.progress
        seconds = last["seconds"] - last["checkpoint_seconds"] - first["seconds"]
        write_json(path, {"seconds": seconds})
    return float(json.loads(path.read_text())["seconds"])


def average(runs: list[Figures], name: str) -> float | None:
    """The mean over seeds; None where there are no runs."""
    return mean(getattr(run, name) for run in runs) if runs else None


if __name__ == "__main__":
    main()
