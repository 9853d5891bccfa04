"""Tables of rankers, by task and group of customers."""

from collections.abc import Mapping, Sequence

from training.report.models import with_interval
from training.report.page import Paragraph, Part, Section, Table
from training.report.words.models import METRICS, capital, model_words, spaced
from training.results.recommend import RankMetrics

ACCURACY = ("hr_at_10", "hr_at_20", "recall_at_10", "recall_at_20", "ndcg_at_10", "ndcg_at_20")
BEYOND = ("coverage", "novelty", "diversity", "repeat_share", "true_repeat_share")
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
SAME_LISTS = (
    "repeat_items",
    "new_items",
)  # groups of items: their customers stand in other groups too
FOUND = "what of their next items is found; small numbers are 95 % intervals"
SHOWN = "what lists are made of"
SAID = (
    "Of the items that customers went on to buy, how many stood among the first 10 or 20 that each ranker named. "
    "Novelty is high where few customers had bought what a list names. Diversity is the share of pairs in a list that "
    "are of two categories. Lists repeat as customers do where both shares of what was bought before are alike. "
    "Nothing outside the catalogue is ever named."
)


def recommendation_section(task: str, groups: Mapping[str, Mapping[str, RankMetrics]]) -> Section:
    """Two tables per group of customers that has any."""
    tables: list[Part] = []
    for group, models in groups.items():
        if any(model.num_customers for model in models.values()):
            heading = capital(GROUPS.get(group, spaced(group)))
            tables.append(rank_table(f"{heading}: {FOUND}", ACCURACY, models))
            if group not in SAME_LISTS:
                tables.append(rank_table(f"{heading}: {SHOWN}", BEYOND, models))
    said = Paragraph(SAID)
    parts = [said, *tables]
    if all(one.recall_at_20 == 1.0 for one in groups.get("all", {}).values()):
        few = "Every list holds every item that anybody bought: of so few items these numbers tell nothing."
        parts.insert(1, Paragraph(few))
    return Section(f"Recommendation: {spaced(task)}", parts)


def rank_table(caption: str, metrics: Sequence[str], models: Mapping[str, RankMetrics]) -> Table:
    """Rankers on one group of customers, with 95 % intervals where they are known."""
    named = [metric.replace("_at_", "@") for metric in metrics]
    rows = [
        [
            model_words(name),
            *(
                with_interval(getattr(model, field), model.ci.get(metric))
                for field, metric in zip(metrics, named, strict=True)
            ),
            model.num_customers,
        ]
        for name, model in models.items()
    ]
    header = ["model", *(METRICS[metric] for metric in (*named, "num_customers"))]
    return Table(caption, header, rows)
