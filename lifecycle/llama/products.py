"""`recommend_products` for notebooks: which of some products a customer would buy, by what they are called."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from lifecycle.llama.base_model.files import check_files
from lifecycle.llama.rerank import Reranker, load_reranker
from lifecycle.recommend.prompts import CUE, clean_line


def recommend_products(
    profile: str,
    descriptions: Sequence[str],
    top_k: int = 5,
    *,
    base_model: str | Path = "models/smollm2-135m-instruct",
) -> list[tuple[str, float]]:
    """The `top_k` descriptions that a customer of this profile buys most likely, and their scores, best first.

    The score of a description is how much likelier the model finds it, in nats per token, once it
    has read the profile (pointwise mutual information, Church and Hanks 1990): the sum of its
    tokens' log-probabilities after the profile less that without it, over their number. The largest
    logit of the next token, which is sometimes taken for it, tells how sure the model is of any
    word, and not how well the product fits. Equal descriptions are listed once; equal scores keep
    their order. The model only scores: it cannot name a product that it was not given.

    `base_model` is a folder, such as `make setup` makes below the repository's.

    Raises ValueError for an empty profile or description, no descriptions, a `top_k` below 1, and a
    folder that holds no model.
    """
    if not clean_line(profile):
        raise ValueError("profile is empty; say what the customer likes or bought")
    if not descriptions:
        raise ValueError("there are no descriptions to choose from")
    if top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1")
    distinct = list(dict.fromkeys(descriptions))
    empty = [place for place, text in enumerate(descriptions) if not clean_line(text)]
    if empty:
        raise ValueError(f"description {empty[0]} is empty")
    scores = _reranker(str(base_model)).scores(f"{profile.strip()}\n{CUE}", distinct)
    order = sorted(range(len(distinct)), key=lambda place: -scores[place])
    return [(distinct[place], scores[place]) for place in order[:top_k]]


@lru_cache(maxsize=1)
def _reranker(base_model: str) -> Reranker:
    check_files(base_model)  # what is no folder would be looked for on the internet, for minutes
    return load_reranker(base_model, "sdpa")
