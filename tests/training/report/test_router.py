"""What the report says of who serves whom."""

from training.report.page import Estimate, Paragraph, Table
from training.report.router import router_sections
from training.results.recommend import Recommender

GAIN = {"over": "als", "recall@20": (0.1, 0.0, 0.2), "ndcg@20": (0.08, 0.02, 0.14)}
CHOICES = {
    "new": {
        "model": "retriever",
        "best": "retriever",
        "num_customers": 70,
        "ndcg@20": {"als": 0.1, "retriever": 0.18},
        "gain": GAIN,
    },
    "rich": {
        "model": "als",
        "best": "als",
        "num_customers": 900,
        "ndcg@20": {"als": 0.3, "retriever": 0.2},
    },
    "newcomers": {"model": "popularity", "best": "popularity", "num_customers": 4},
}


def compared(**changes: object) -> Recommender:
    told = {"model": "als", "rule": "r", "ndcg@20": {}, "router": CHOICES}
    return Recommender.model_validate(told | changes)


def test_each_group_has_a_row_with_who_serves_it_and_why() -> None:
    (section,) = router_sections(compared())
    said, table = section.parts
    assert isinstance(said, Paragraph) and isinstance(table, Table)
    assert said.text.startswith("ALS is best for all")
    assert "customers of one order by the retriever. " in said.text
    assert table.rows[0] == [
        "Customers of one order",
        70,
        "retriever",
        0.18,
        "retriever",
        0.18,
        Estimate(0.08, 0.02, 0.14),
    ]
    assert table.rows[1][1:] == [900, "ALS", 0.3, "ALS", 0.3, None]
    assert table.rows[2][1:] == [4, "popularity", None, "popularity", None, None]


def test_where_nothing_was_chosen_there_is_no_section_and_where_no_group_differs_it_says_so() -> (
    None
):
    assert router_sections(compared(model=None)) == router_sections(compared(router={})) == []
    (section,) = router_sections(compared(router={"rich": CHOICES["rich"]}))
    assert isinstance(section.parts[0], Paragraph) and "none does" in section.parts[0].text
