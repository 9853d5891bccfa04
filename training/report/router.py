"""Which ranker serves which group of customers, and what it was chosen by."""

from collections.abc import Mapping

from training.report.page import Cell, Estimate, Paragraph, Section, Table
from training.report.recommend import GROUPS
from training.report.words.models import capital, in_sentence, model_words
from training.results.recommend import GroupChoice, Recommender

WORDS = GROUPS | {
    "new": "customers of one order",
    "newcomers": "customers without an order, of known segment",
}
HEADER = ("customers", "how many", "served by", "NDCG at 20", "best there", "NDCG at 20", "gain")


def router_sections(compared: Recommender) -> list[Section]:
    """A table of the groups; no section where there was nothing to choose."""
    if compared.model is None or not compared.router:
        return []
    rows = [_row(WORDS[group], choice) for group, choice in compared.router.items()]
    said = Paragraph(_said(compared.model, compared.router))
    return [Section("Which ranker serves whom", [said, Table("By group", HEADER, rows)])]


def _said(everybody: str, router: Mapping[str, GroupChoice]) -> str:
    own = [
        f"{WORDS[group]} by {in_sentence(choice.model)}"
        for group, choice in router.items()
        if choice.gain is not None and choice.model == choice.best
    ]
    served = "; ".join(own) if own else "none does"
    return (
        f"{capital(in_sentence(everybody))} is best for all before the test window, and serves all but groups "
        f"that another ranker serves clearly better there, with 90 % confidence: {served}. "
        "The gain is that of the best one; a dash stands where it serves all, or where customers are too few to tell."
    )


def _row(words: str, choice: GroupChoice) -> list[Cell]:
    scores, gain = choice.ndcg_at_20, choice.gain
    return [
        capital(words),
        choice.num_customers,
        model_words(choice.model),
        scores.get(choice.model),
        model_words(choice.best),
        scores.get(choice.best),
        None if gain is None else Estimate(*gain.ndcg_at_20),
    ]
