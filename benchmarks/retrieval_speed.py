"""What finding the best items costs: `python -m benchmarks.retrieval_speed [--without-answers]`.

Retrieval: TOP of ITEMS items for CUSTOMERS customers, by the scalar products of random float32
vectors of SIZE dimensions. Ours multiplies as many customers at once as the next-item encoder does,
and cuts each block by the function that it is served by; beside it one torch product and topk of all
at once. One thread, medians of runs in turns. SAME_BATCHES batches of customers tell how often both
find the same items.

Answers: the arena of The Complete Journey chooses a ranker, which then answers the first CUSTOMERS
test customers as /v1/recommendations does, k = TOP, out of the whole catalogue. Their events were
looked up before. One core, median of runs.
"""

import argparse
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness.asked import asked
from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import CONFIGS, prepare_shop
from benchmarks.harness.stopwatch import medians
from lifecycle.jobs import start_logging
from lifecycle.llama.next_item.predict import BATCH_ROWS
from lifecycle.names import BGNBD, RANKERS
from lifecycle.recommend.ordering import best_of_rows
from serving.predict.predictor import Predictor
from serving.predict.queries import RecommendOptions
from serving.predict.recommendations import recommend
from serving.store.events import EventStore
from training.evaluate.job import evaluate
from training.evaluate.recipe import EvaluateConfig

TOP = 20
ITEMS = 100_000
SIZE = 128
CUSTOMERS = 256
SAME_BATCHES = 16


def main() -> None:
    """Measure, print, write the evidence."""
    print(__doc__)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-answers", action="store_true", help="retrieval alone")
    options = parser.parse_args()
    start_logging()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    numbers = retrieval_numbers()
    files: list[Path] = []
    if not options.without_answers:
        with scratch_folder() as folder:
            answers, files = answer_numbers(folder)
        numbers |= answers
    write_evidence("retrieval_speed", numbers, seeds=[0], data=files)


def retrieval_numbers() -> dict[str, Json]:
    """Of random vectors."""
    random = torch.Generator().manual_seed(0)
    items = torch.randn(ITEMS, SIZE, generator=random)
    batches = [torch.randn(CUSTOMERS, SIZE, generator=random) for _ in range(SAME_BATCHES)]
    ours, plain = medians(partial(retrieve, batches[0], items), partial(topk, batches[0], items))
    same = [same_items(retrieve(batch, items), topk(batch, items)) for batch in batches]
    return {
        "ratio_to_matmul_topk": ours / plain,
        "same_top_20": float(np.mean(same)),
        "milliseconds": 1000 * ours,
        "matmul_topk_milliseconds": 1000 * plain,
        "items": ITEMS,
        "customers": CUSTOMERS,
        "dimensions": SIZE,
    }


def retrieve(customers: Tensor, items: Tensor) -> np.ndarray:
    """The TOP items of each customer, best first: (customers, TOP)."""
    blocks = [customers[first : first + BATCH_ROWS] for first in range(0, CUSTOMERS, BATCH_ROWS)]
    found = [best_of_rows((block @ items.T).numpy(), TOP)[1] for block in blocks]
    best: np.ndarray = np.concatenate(found).reshape(-1, TOP)
    return best


def topk(customers: Tensor, items: Tensor) -> np.ndarray:
    """The same by one product."""
    found: np.ndarray = (customers @ items.T).topk(TOP, dim=1).indices.numpy()
    return found


def same_items(ours: np.ndarray, exact: np.ndarray) -> float:
    """The share of customers for whom both are the same items."""
    same = np.sort(ours, axis=1) == np.sort(exact, axis=1)
    return float(same.all(axis=1).mean())


def answer_numbers(folder: Path) -> tuple[dict[str, Json], list[Path]]:
    """Of the ranker that the arena chooses, and the source files."""
    places, files = prepare_shop("journey", folder)
    recipe = EvaluateConfig.load(CONFIGS / "journey_evaluate.yaml")
    changes = {
        **places,
        "members": {},
        "ranking_members": {},
        "models": (BGNBD, *RANKERS),
        "report_html": False,
        "output": folder / "arena",
    }
    evaluate(recipe.model_copy(update=changes))
    artifact = Predictor(folder / "arena" / "artifact").artifact
    customers = asked(EventStore(places["data"]), folder, CUSTOMERS)
    (seconds,) = medians(partial(recommend, artifact, customers, RecommendOptions(k=TOP)))
    return {
        "model": artifact.settings.recommender,
        "answer_ms_per_customer": 1000 * seconds / len(customers),
        "answered_items": artifact.items.height,
    }, files


if __name__ == "__main__":
    main()
