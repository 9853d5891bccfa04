"""What quality.json says of orders and their lines that may be counted falsely."""

from training.results.sums import Summed, SummedOrders


class LongOrders(SummedOrders):
    """Orders with an order_id whose purchases lie more than 60 days apart: it may be no order's."""


class OrdersOfFiles(SummedOrders):
    """Orders told by several files: corrected, exported again, or by lines and once more by sums."""

    of_same_money: int = 0  # those that come to the same in each file
    files: tuple[str, ...] = ()  # the first and the last that have the example


class RepeatedAmounts(SummedOrders):
    """Orders of several lines that all have one amount, which may be the order's total."""

    amounts: int = 0  # different ones, at most
    example_amount: float | None = None


class AmountsByQuantity(Summed):
    """Lines of items sold in several quantities, and squares of logarithms around each item's mean."""

    lines: int = 0
    quantity: float = 0.0
    amount: float = 0.0  # as `quantity`, where amount is quantity times price
    beyond_square: float = 0.0  # of amount / quantity^2; 0 where the quantity was taken twice
