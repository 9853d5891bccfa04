"""Re-ranking 50 items for one customer against one full forward per item: `python -m benchmarks.rerank_speed`.

Protocol, printed too: customers of The Complete Journey, a seeded sample; the retriever's 50 best
items for each at the test cutoff; SmolLM2-135M on one thread. Full forward: prompt and title through
the model in float32, for every item anew. Ours: the scores that a re-ranker gives, in the dtype that
it takes on this processor. What a title is likely without a customer is known beforehand in both, as
a service remembers it. The two take turns, customer by customer; the ratio is that of the medians of
their processor time.
`same_top_10` is the share of customers whose ten best items are the same, `same_order` also in order.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from time import process_time

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from benchmarks.harness.evidence import Json, write_evidence
from benchmarks.harness.scratch import scratch_folder
from benchmarks.harness.shop import prepare_shop
from lifecycle.jobs import start_logging
from lifecycle.llama.language_model import load_causal_model
from lifecycle.llama.rerank import Reranker, item_tokens, load_reranker, prompt_tokens
from lifecycle.recommend.prompts import NEUTRAL_PROMPT
from lifecycle.recommend.rankers import Rankers
from training.evaluate.inputs import Inputs, read_inputs
from training.evaluate.recipe import EvaluateConfig
from training.evaluate.recommend.reranked import candidates_of
from training.evaluate.recommend.tasks import final_task
from training.evaluate.recommend.windows import open_window, sampled

BASE_MODEL = Path("models/smollm2-135m-instruct")
NUM_ITEMS = 50
TOP = 10
SEED = 0


@dataclass(frozen=True)
class Question:
    """A customer's prompt, and the texts of the items to be scored."""

    prompt: str
    texts: list[str]


@dataclass(frozen=True)
class Answer:
    """How long both ways took, in seconds, and whether they agree on the ten best."""

    full_seconds: float
    our_seconds: float
    same_top: bool
    same_order: bool


def main() -> None:
    """Measure, print, write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100)
    arguments = parser.parse_args()
    print(__doc__, flush=True)
    start_logging()
    with scratch_folder() as folder:
        places, files = prepare_shop("journey", folder)
        config = EvaluateConfig.model_validate(
            places
            | {"num_candidates": NUM_ITEMS, "models": ("retriever",), "output": folder / "arena"}
        )
        questions = asked(read_inputs(config), arguments.customers)
    ours = load_reranker(BASE_MODEL, "sdpa")
    full = load_causal_model(BASE_MODEL, "sdpa", torch.float32).eval()
    answers = [answered(ours, full, one) for one in show(questions)]
    write_evidence("rerank_speed", numbers_of(answers, questions, ours), seeds=[SEED], data=files)


def asked(inputs: Inputs, num_customers: int) -> list[Question]:
    """What re-ranking is asked at the test cutoff, of a seeded sample of customers."""
    task = final_task(inputs)
    customers = sampled(task.baskets, num_customers, SEED).to_list()
    rankers = Rankers(open_window(task, inputs.items, SEED).retriever)
    found = candidates_of(inputs, rankers, "retriever", task, customers)
    prompts = dict(found.prompts.iter_rows())
    texts = found.items.group_by("customer_id", maintain_order=True).agg("text")
    return [Question(prompts[name], listed) for name, listed in texts.iter_rows()]


def show(questions: Sequence[Question]) -> Sequence[Question]:
    """The questions, after a line that says how much there is to read."""
    distinct = mean(len(set(one.texts)) for one in questions)
    print(
        f"{len(questions)} customers, {NUM_ITEMS} items each, {distinct:.1f} distinct titles",
        flush=True,
    )
    return questions


def answered(ours: Reranker, full: PreTrainedModel, question: Question) -> Answer:
    """Both ways on one customer."""
    priors = full_forwards(full, ours.tokenizer, NEUTRAL_PROMPT, question.texts)
    ours.scores(question.prompt, question.texts)  # from now on it knows its own
    started_at = process_time()
    found = ours.scores(question.prompt, question.texts)
    our_seconds = process_time() - started_at
    started_at = process_time()
    likely = full_forwards(full, ours.tokenizer, question.prompt, question.texts)
    full_seconds = process_time() - started_at
    expected = [one - prior for one, prior in zip(likely, priors, strict=True)]
    mine, theirs = best(found, question.texts), best(expected, question.texts)
    print(f"{our_seconds:.2f} s, full forwards {full_seconds:.1f} s", flush=True)
    return Answer(full_seconds, our_seconds, sorted(mine) == sorted(theirs), mine == theirs)


@torch.inference_mode()
def full_forwards(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, texts: list[str]
) -> list[float]:
    """Mean log-likelihood per token of each text after the prompt, which is read anew for each."""
    start = prompt_tokens(tokenizer, prompt)
    means = []
    for text in texts:
        item = item_tokens(tokenizer, text)
        logits = model(torch.tensor([start + item]), use_cache=False).logits[0, len(start) - 1 : -1]
        logs = torch.log_softmax(logits, dim=-1).gather(1, torch.tensor(item)[:, None])
        means.append(float(logs.double().mean()))
    return means


def best(scores: Sequence[float], texts: Sequence[str]) -> list[str]:
    """The texts of the ten best items; equal texts score alike, whichever item has them."""
    order = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return [texts[place] for place in order[:TOP]]


def numbers_of(
    answers: Sequence[Answer], questions: Sequence[Question], ours: Reranker
) -> dict[str, Json]:
    """The keys of the evidence."""
    full = median(answer.full_seconds for answer in answers)
    mine = median(answer.our_seconds for answer in answers)
    prompts = [len(prompt_tokens(ours.tokenizer, one.prompt)) for one in questions]
    titles = [len(item_tokens(ours.tokenizer, text)) for one in questions for text in one.texts]
    return {
        "ratio_to_full_forward": full / mine,
        "same_top_10": mean(answer.same_top for answer in answers),
        "same_order": mean(answer.same_order for answer in answers),
        "customers": len(answers),
        "items": NUM_ITEMS,
        "distinct_titles": mean(len(set(one.texts)) for one in questions),
        "prompt_tokens": mean(prompts),
        "title_tokens": mean(titles),
        "items_per_second": NUM_ITEMS / mine,
        "full_forward_items_per_second": NUM_ITEMS / full,
        "dtype": str(ours.model.dtype).removeprefix("torch."),
        "protocol": __doc__,
    }


if __name__ == "__main__":
    main()
