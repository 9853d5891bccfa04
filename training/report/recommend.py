"""Tables of rankers, by task and group of customers."""

from collections.abc import Mapping

from training.report.page import Cell, Paragraph, Part, Section, Table
from training.report.words.models import METRICS, model_words, spaced
from training.results.recommend import RankMetrics

RANK_METRICS = ("hr@10", "ndcg@10", "recall@20", "ndcg@20", "coverage", "num_customers")
GROUPS = {
    "all": "all customers",
    "new": "customers of one order or none",
    "thin": "customers of two to four orders",
    "rich": "customers of five orders or more",
    "repeat_items": "items that the customer bought before",
    "new_items": "items that are new to the customer",
}


def recommendation_section(task: str, groups: Mapping[str, Mapping[str, RankMetrics]]) -> Section:
    """A table per group of customers that has any."""
    tables: list[Part] = []
    for group, models in groups.items():
        if any(model.num_customers for model in models.values()):
            tables.append(rank_table(GROUPS.get(group, spaced(group)).capitalize(), models))
    said = Paragraph(
        "Of the items that customers went on to buy, how many stood among the first 10 or 20 that each ranker named."
    )
    parts = [said, *tables]
    if all(one.recall_at_20 == 1.0 for one in groups.get("all", {}).values()):
        few = "Every list holds every item that anybody bought: of so few items these numbers tell nothing."
        parts.insert(1, Paragraph(few))
    return Section(f"Recommendation: {spaced(task)}", parts)


def rank_table(caption: str, models: Mapping[str, RankMetrics]) -> Table:
    """Rankers on one group of customers."""
    rows = [[model_words(name), *_rank_cells(model)] for name, model in models.items()]
    return Table(caption, ["model", *(METRICS[name] for name in RANK_METRICS)], rows)


def _rank_cells(model: RankMetrics) -> list[Cell]:
    return [
        model.hr_at_10,
        model.ndcg_at_10,
        model.recall_at_20,
        model.ndcg_at_20,
        model.coverage,
        model.num_customers,
    ]
