"""Whom a pipeline asks its service about."""

from tests.builders import TinyShop
from training.pipeline.service import first_customers


def test_customers_of_the_requests_have_bought(tiny_shop: TinyShop) -> None:
    assert first_customers(tiny_shop.data, 3) == ["c0", "c1", "c10"]
