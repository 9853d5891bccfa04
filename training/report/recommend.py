"""Tables of rankers, by task and group of customers."""

from collections.abc import Mapping

from training.report.page import Cell, Estimate, Paragraph, Part, Section, Table, number
from training.report.words.models import METRICS, model_words, spaced
from training.results.recommend import Gain, RankMetrics, Reranking

RANK_METRICS = ("hr@10", "ndcg@10", "recall@20", "ndcg@20", "coverage", "num_customers")
GROUPS = {
    "all": "all customers",
    "new": "customers of one order or none",
    "thin": "customers of two to four orders",
    "rich": "customers of five orders or more",
    "repeat_items": "items that the customer bought before",
    "new_items": "items that are new to the customer",
    "rare_items": "items that few bought",
    "unseen_items": "items that nobody bought before",
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


def reranking_section(found: Reranking) -> Section:
    """Whether LLaMA's reading of titles serves beside the ranker, and for whom it brings something."""
    ranker = model_words(found.over)
    said = (
        f"LLaMA's score of titles counts {number(found.weight)} times beside that of {ranker}"
        if found.weight
        else f"LLaMA's score of titles brings nothing beside {ranker}, so that it is off"
    )
    parts: list[Part] = [Paragraph(f"{said}: {found.why}.")]
    if found.before_test:
        caption = "Re-ranked minus not, before the test window, by the best weight above 0"
        parts.append(_gain_table(caption, found.before_test))
    if found.test:
        parts.append(_gain_table("Re-ranked minus not, test customers", found.test))
    if found.trained_minus_untrained is not None:
        both = {"all": found.trained_minus_untrained}
        parts.append(_gain_table("LLaMA trained on the shop's purchases minus untrained", both))
    return Section("Re-ranking by LLaMA", parts)


def _gain_table(caption: str, gains: Mapping[str, Gain]) -> Table:
    """A row per group, with 90 % intervals."""
    header = ["group", METRICS["recall@20"], METRICS["ndcg@20"], METRICS["num_customers"]]
    rows = [
        [
            GROUPS[group],
            _gain_cell(gain.recall_at_20),
            _gain_cell(gain.ndcg_at_20),
            gain.num_customers,
        ]
        for group, gain in gains.items()
    ]
    return Table(f"{caption}, with 90 % intervals", header, rows)


def _gain_cell(gain: tuple[float, float, float]) -> Estimate:
    _, low, high = gain
    verdict = "better" if low > 0 else "worse" if high < 0 else ""
    return Estimate(*gain, verdict)
