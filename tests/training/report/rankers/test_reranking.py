"""What the report says of re-ranking: on or off, and why."""

from training.report.page import Estimate, Paragraph, Table
from training.report.rankers.reranking import reranking_section
from training.results.recommend import Gain, Reranking

GAIN = Gain.model_validate(
    {"over": "als", "recall@20": (0.1, -0.1, 0.3), "ndcg@20": (0.2, 0.1, 0.3), "num_customers": 80}
)


def reranking(weight: float, **tables: dict[str, Gain]) -> Reranking:
    found = {"over": "als", "weight": weight, "why": "because", "ndcg@20": {"0": 0.1}}
    return Reranking.model_validate(found | tables)


def test_a_weight_of_0_is_told_with_its_reason_and_with_what_was_tried() -> None:
    said, table = reranking_section(reranking(0.0, before_test={"rare_items": GAIN})).parts
    assert isinstance(said, Paragraph) and isinstance(table, Table)
    assert said.text.endswith("brings nothing beside ALS, so that it is off: because.")
    assert "90 % intervals" in table.caption
    unclear, better = Estimate(0.1, -0.1, 0.3, ""), Estimate(0.2, 0.1, 0.3, "better")
    assert table.rows == [["items that few bought", unclear, better, 80]]


def test_what_serves_is_told_on_the_test_customers_too() -> None:
    found = reranking(0.25, before_test={"all": GAIN}, test={"all": GAIN, "unseen_items": GAIN})
    said, _, table = reranking_section(found).parts
    assert isinstance(said, Paragraph) and "counts 0.250 times beside that of ALS" in said.text
    assert isinstance(table, Table) and len(table.rows) == 2
