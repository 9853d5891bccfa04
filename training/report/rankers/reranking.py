"""Whether LLaMA's reading of titles serves beside the ranker, and for whom it brings something."""

from collections.abc import Mapping

from training.report.page import Estimate, Paragraph, Part, Section, Table, number
from training.report.recommend import GROUPS
from training.report.words.models import METRICS, model_words
from training.results.recommend import Gain, Reranking


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
