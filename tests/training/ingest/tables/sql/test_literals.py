"""What SQL writes itself: quoted numbers and dates that are put in order as texts."""

import pytest

from tests.training.ingest.recipes import Read, amount
from training.ingest.tables.sql.literals import check_order


@pytest.mark.parametrize(
    ("sql", "text", "remedy"),
    [
        ("t >= '01/02/2024'", "'01/02/2024'", "first_date"),
        ("t BETWEEN '1.1.2024' AND '31.1.2024'", "'1.1.2024'", "first_date"),
        ("t<'31-12-24 10:00'", "'31-12-24 10:00'", "first_date"),
        ("q > '10'", "'10'", "without quotes"),
        ("p >= '9.99'", "'9.99'", "without quotes"),
        ("q BETWEEN '2' AND '15'", "'2'", "without quotes"),
    ],
)
def test_texts_that_go_by_letters_are_not_put_in_order(sql: str, text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=rf"filter.x: {text} in .* 15 before 2; .*{remedy}"):
        check_order(sql, "filter.x")


@pytest.mark.parametrize(
    "sql",
    ["t >= '2024-01-31'", "t < '10:30'", "t > '20240131'", "t > '2023'", "t <> '1.1.2024'"]
    + ["q <> '10'", "q = '5' AND p = '7'", "q > 10 AND p = '7'", "s < 'M'", "code >= '007'"],
)
def test_other_texts_are_compared(sql: str) -> None:
    check_order(sql, "filter.x")


def test_an_expression_of_a_recipe_is_looked_at(read: Read) -> None:
    with pytest.raises(ValueError, match=r"columns.amount: '10' in"):
        read("c,t,p\n1,2024-01-01,9\n", **amount("CASE WHEN p > '10' THEN p ELSE 0.0 END"))
