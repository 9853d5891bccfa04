"""What tells rankers apart, in words and plots: the gain of the stack, who is found what, re-ranking, margins."""

from collections.abc import Mapping, Sequence

from lifecycle.names import RANK_STACK
from training.report.page import Paragraph, Part, Section, percent
from training.report.rankers.margin import margin_section
from training.report.rankers.plots import recall_bars, repeat_explore
from training.report.rankers.reranking import reranking_section
from training.report.words.models import METRICS, capital, in_sentence
from training.results.arena import Results
from training.results.recommend import Gain, RankMetrics, RecallBy, Recommender

FEW_RANKERS = 5  # whose bars can be told apart
Groups = Mapping[str, Mapping[str, RankMetrics]]


def ranker_sections(results: Results) -> list[Section]:
    """Nothing where nobody was asked."""
    sections = []
    found = results.recommender
    for groups in filter(None, results.recommendation.values()):
        if found.rank_stack_gain is not None:
            sections.append(gain_section(found.rank_stack_gain, groups["all"]))
        if found.recall_by_orders is not None and found.recall_by_buyers is not None:
            by_orders, by_buyers = found.recall_by_orders, found.recall_by_buyers
            sections.append(recall_section(found, by_orders, by_buyers, groups))
    if found.reranking is not None:
        sections.append(reranking_section(found.reranking))
    if found.margin_curve is not None:
        sections.append(margin_section(found.margin_curve, results.currency or ""))
    return sections


def gain_section(gain: Gain, models: Mapping[str, RankMetrics]) -> Section:
    """What the stack of rankers brings over the best single one before the test window."""
    stack, other = models[RANK_STACK], models[gain.over]
    said = (
        f"Before the test window {in_sentence(gain.over)} was the best single ranker. On the test customers the "
        "stack of rankers is set against it, customer by customer."
    )
    told = [
        _gain_words("recall@20", stack.recall_at_20, other.recall_at_20, gain.recall_at_20),
        _gain_words("ndcg@20", stack.ndcg_at_20, other.ndcg_at_20, gain.ndcg_at_20),
    ]
    parts = [Paragraph(said), *(Paragraph(one) for one in told)]
    return Section("What the stack of rankers brings", parts)


def _gain_words(
    metric: str, ours: float | None, other: float | None, gain: tuple[float, float, float]
) -> str:
    """In one sentence or two."""
    mean, low, high = gain
    more = "more" if mean >= 0 else "less"
    said = f"{capital(METRICS[metric])}: {ours or 0.0:.4f} instead of {other or 0.0:.4f}, {abs(mean):.4f} {more}"
    if other:
        said += f", or {percent(abs(mean) / other)}"
    said += f"; 90 % interval {low:+.4f} to {high:+.4f}. "
    if low > 0:
        return said + "That is clearly better."
    return said + ("That is clearly worse." if high < 0 else "Which is better is not clear.")


def recall_section(
    found: Recommender, by_orders: RecallBy, by_buyers: RecallBy, groups: Groups
) -> Section:
    """Where rankers are good and where they are not."""
    few = shown_rankers(found, list(by_orders.models))
    everyone = [name for name in groups["all"] if name in by_orders.models]
    plots: list[Part] = [
        Paragraph(
            "Customers of few orders, and items that few have bought, are hard to recommend for. Thin lines are 95 % "
            "intervals over customers."
        ),
        recall_bars(by_orders, few, "orders of the customer before", "customers"),
        recall_bars(
            by_buyers,
            few,
            "customers who had bought the item before",
            "items that were bought then",
        ),
        repeat_explore(groups, everyone),
    ]
    return Section(
        "What each ranker finds: by history, by popularity, repeats and new items", plots
    )


def shown_rankers(found: Recommender, names: Sequence[str]) -> list[str]:
    """The one that serves and the best others before the test; those that were not in the choice stand last."""
    before = found.ndcg_at_20
    chosen = sorted(
        (name for name in names if name in before),
        key=lambda name: (name != found.model, -before[name]),
    )
    beside = [name for name in names if name not in before]
    return [*chosen[: max(FEW_RANKERS - len(beside), 1)], *beside][:FEW_RANKERS]
